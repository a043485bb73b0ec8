import { describe, expect, it } from 'vitest';
import { addressOf } from './place';

describe('an address', () => {
  const home = 'https://h/vectron/';
  it('of a path below the console’s folder is that of its place', () => {
    expect(addressOf('https://h/vectron/collections/a%20b?x=1', home)).toBe('https://h/vectron/#/collections/a%20b?x=1');
  });
  it('stays when it names a place already, or none', () => {
    for (const path of ['', '?x=1', '#/health', 'index.html', 'collections/docs#/health']) {
      expect(addressOf(home + path, home)).toBeNull();
    }
    expect(addressOf('https://h/vectron', home)).toBeNull();
  });
});
