// Three points and the two vectors between them.
export function Logo({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#2448c8" />
      <path d="M7 9l9 15 9-15" fill="none" stroke="#fff" strokeWidth="3" strokeLinecap="round" strokeLinejoin="round" />
      <circle cx="7" cy="9" r="3" fill="#fff" />
      <circle cx="25" cy="9" r="3" fill="#8fe3c8" />
      <circle cx="16" cy="24" r="3" fill="#fff" />
    </svg>
  );
}
