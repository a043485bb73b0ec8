// Writes a .gz and a .br beside every file of dist/ that gets smaller by it.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const texts = new Set(['.html', '.js', '.css', '.svg', '.json', '.txt']);

function visit(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) visit(path);
    else if (texts.has(extname(name))) compress(path);
  }
}

function compress(path) {
  const bytes = readFileSync(path);
  const made = {
    '.gz': gzipSync(bytes, { level: 9 }),
    '.br': brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }),
  };
  for (const [ending, packed] of Object.entries(made)) {
    if (packed.length < bytes.length) writeFileSync(path + ending, packed);
  }
}

visit(dist);
