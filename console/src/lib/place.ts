// Places are hash routes, but a path below the console's folder is understood too: /collections/docs is /#/collections/docs.
// The right address for one that is such a path; null: it is right as it is.
export function addressOf(href: string, home: string): string | null {
  const { pathname, search, hash } = new URL(href);
  const folder = new URL(home).pathname;
  const below = pathname.startsWith(folder) ? pathname.slice(folder.length) : '';
  if (hash !== '' || below === '' || below === 'index.html') return null;
  return `${home}#/${below}${search}`;
}
