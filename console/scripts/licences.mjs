// Writes dist/licences.txt: the licences of the packages whose code and fonts the console ships, which ask to be passed on with them.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
const shipped = Object.keys(packages).filter((path) => path !== '' && !packages[path].dev && !packages[path].optional);

function textsOf(folder) {
  return readdirSync(folder)
    .filter((name) => /^(licen[cs]e|notice|copying)/i.test(name) && statSync(join(folder, name)).isFile())
    .map((name) => readFileSync(join(folder, name), 'utf8').trim());
}

function describe(path) {
  const folder = join(root, path);
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = textsOf(folder);
  if (!license && texts.length === 0) throw new Error(`${name} names no licence: it cannot be shipped`);
  return [`${name} ${version}: ${license ?? 'see below'}`, ...texts].join('\n\n');
}

const rule = `\n\n${'-'.repeat(100)}\n\n`;
writeFileSync(join(root, 'dist', 'licences.txt'), shipped.map(describe).join(rule) + '\n');
