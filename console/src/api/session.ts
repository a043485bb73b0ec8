// The signed-in user's token. Kept in memory and in sessionStorage, which belongs to this origin and this tab alone: a
// script of another origin cannot read it, no request carries it unless this code adds it, and it ends with the tab.
const storageKey = 'vectron.session';

let token: string | null = read();
const listeners = new Set<() => void>();

function read(): string | null {
  try {
    return sessionStorage.getItem(storageKey);
  } catch {
    return null;
  }
}

export function getToken(): string | null {
  return token;
}

// Sets (or with null, forgets) the token and tells who listens.
export function setToken(next: string | null): void {
  token = next;
  try {
    if (next === null) sessionStorage.removeItem(storageKey);
    else sessionStorage.setItem(storageKey, next);
  } catch {
    // Storage is refused: the token lives in memory until the page is left.
  }
  for (const listener of listeners) listener();
}

export function onTokenChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export interface TokenTimes {
  issuedAt: number; // ms since the Unix epoch
  expiresAt: number;
}

// When a token was issued and ends, read from its claims without checking them; null when it is no JWT that says so.
export function tokenTimes(jwt: string): TokenTimes | null {
  const body = jwt.split('.')[1];
  if (!body) return null;
  try {
    const claims = JSON.parse(atob(body.replace(/-/g, '+').replace(/_/g, '/'))) as { iat?: unknown; exp?: unknown };
    if (typeof claims.exp !== 'number' || typeof claims.iat !== 'number') return null;
    return { issuedAt: claims.iat * 1000, expiresAt: claims.exp * 1000 };
  } catch {
    return null;
  }
}

// A token is renewed once half of its life is over.
export function isRenewalDue(jwt: string, nowMs: number): boolean {
  const times = tokenTimes(jwt);
  return times !== null && nowMs > (times.issuedAt + times.expiresAt) / 2 && nowMs < times.expiresAt;
}
