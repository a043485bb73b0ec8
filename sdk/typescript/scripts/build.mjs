// Compiles src into dist/esm and dist/cjs. The package.json in dist/cjs tells Node what its files are.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const tsc = (...options) => {
  const done = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", root, ...options], {
    stdio: "inherit",
  });
  if (done.status !== 0) process.exit(1);
};
rmSync(join(root, "dist"), { recursive: true, force: true });
tsc();
tsc("--module", "CommonJS", "--moduleResolution", "Node10", "--outDir", join(root, "dist/cjs"));
mkdirSync(join(root, "dist/cjs"), { recursive: true });
writeFileSync(join(root, "dist/cjs/package.json"), '{"type":"commonjs"}\n');
