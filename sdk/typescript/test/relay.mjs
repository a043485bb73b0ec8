import { connect, createServer } from "node:net";

/** Passes connections on to an address. sent: bytes that went there; connections: how many there have been. */
export async function relay(t, to) {
  const [host, port] = to.split(":");
  const open = new Set();
  let deaf = 0; // of the first so many connections nothing arrives any more
  const passed = {
    sent: 0,
    connections: 0,
    /** Swallows what is said from now on over the connections there are, either way, and closes none of them. */
    fallSilent: () => (deaf = passed.connections),
    /** Ends the connections there are, as a server does that is killed. */
    cut: () => {
      for (const socket of open) socket.destroy();
    },
  };
  const listener = createServer((here) => {
    const number = passed.connections++;
    const there = connect(Number(port), host);
    for (const [from, into] of [[here, there], [there, here]]) {
      from.on("data", (data) => {
        if (number < deaf) return;
        if (from === here) passed.sent += data.length;
        into.write(data);
      });
      from.on("end", () => into.end());
      from.on("error", () => into.destroy());
      open.add(from);
      from.on("close", () => {
        open.delete(from);
        into.destroy();
      });
    }
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    listener.close();
    passed.cut();
  });
  return { passed, address: `127.0.0.1:${listener.address().port}` };
}
