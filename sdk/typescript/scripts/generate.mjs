// Makes src/gen from the .proto files with protoc and ts-proto. PROTOC names another protoc.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const protos = process.env.VECTRON_PROTOS ?? join(root, "../../proto");
if (!existsSync(join(protos, "vectron/vectron.proto"))) {
  console.error(`generate: no vectron/vectron.proto in ${protos}; set VECTRON_PROTOS`);
  process.exit(1);
}
const out = join(root, "src/gen");
mkdirSync(out, { recursive: true });
const options = "outputServices=none,forceLong=bigint,esModuleInterop=true,importSuffix=.js,outputJsonMethods=false";
const done = spawnSync(
  process.env.PROTOC ?? "protoc",
  [
    `--plugin=protoc-gen-ts_proto=${join(root, "node_modules/.bin/protoc-gen-ts_proto")}`,
    `--ts_proto_out=${out}`,
    `--ts_proto_opt=${options}`,
    `--proto_path=${protos}`,
    "vectron/vectron.proto",
    "vectron/auth.proto",
  ],
  { stdio: "inherit" },
);
if (done.status !== 0) {
  console.error("generate: protoc failed; install protobuf-compiler, and run npm ci");
  process.exit(1);
}
