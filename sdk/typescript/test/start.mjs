import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Starts `vectron dev`; resolves to its ready line, with stop(). Rejects with its log when it ends before. */
export async function start(data, { grpc = "127.0.0.1:0", auth = "off", flags = [] } = {}) {
  const process_ = spawn(
    process.env.VECTRON_BINARY,
    ["dev", "--data", data, "--http", "127.0.0.1:0", "--grpc", grpc, "--auth", auth, ...flags],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  process_.stderr.on("data", (chunk) => (log += chunk));
  const ended = new Promise((resolve) => process_.once("exit", resolve));
  const lines = createInterface({ input: process_.stdout });
  const ready = await new Promise((resolve, reject) => {
    lines.once("line", resolve);
    ended.then((code) => reject(new Error(`the server ended with ${code}: ${log}`)));
  });
  const stop = async (signal = "SIGTERM") => {
    process_.kill(signal);
    return ended;
  };
  return { ...JSON.parse(ready), stop };
}
