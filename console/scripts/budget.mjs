// Fails when the first load of sign-in or overview weighs more than the budget: all that the browser fetches for it, gzip.
// Takes the build's manifest away: nobody is served it.
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const budgetBytes = 350 * 1024;
const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const manifest = JSON.parse(readFileSync(join(dist, '.vite', 'manifest.json'), 'utf8'));

const weight = (file) => {
  const packed = join(dist, `${file}.gz`);
  return statSync(existsSync(packed) ? packed : join(dist, file)).size;
};

function filesOf(key, seen = new Set(), files = new Set()) {
  if (seen.has(key)) return files;
  seen.add(key);
  const chunk = manifest[key];
  if (!chunk) throw new Error(`${key} is not in the manifest`);
  files.add(chunk.file);
  for (const css of chunk.css ?? []) files.add(css);
  for (const next of chunk.imports ?? []) filesOf(next, seen, files);
  return files;
}

const chartKey = Object.keys(manifest).find((key) => /uplot/i.test(key));
if (!chartKey) throw new Error('the chart library is not in the manifest');
const font = Object.values(manifest).find((chunk) => /inter-latin-wght-normal/.test(chunk.file));
let failed = false;
for (const [page, parts] of Object.entries({
  'sign-in': ['index.html', 'src/pages/sign-in.tsx'],
  overview: ['index.html', 'src/pages/overview.tsx', chartKey],
})) {
  const files = new Set(['index.html', 'color-scheme.js', 'favicon.svg']);
  for (const part of parts) for (const file of filesOf(part)) files.add(file);
  if (font) files.add(font.file);
  const total = [...files].reduce((sum, file) => sum + weight(file), 0);
  const ok = total <= budgetBytes;
  failed ||= !ok;
  console.log(`${page}: first load ${(total / 1024).toFixed(1)} KiB of ${budgetBytes / 1024} KiB${ok ? '' : ' TOO MUCH'}`);
}
rmSync(join(dist, '.vite'), { recursive: true });
process.exit(failed ? 1 : 0);
