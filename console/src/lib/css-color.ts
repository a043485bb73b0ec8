// A colour of app.css as it is now: canvases do not read CSS variables.
export function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
