// TLS against a real server: authorities, names, and certificates of clients. VECTRON_CERTIFICATES names a folder of them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { UnavailableError, VectronClient } from "@vectron/client";

import { start } from "./start.mjs";

const path = (name) => join(process.env.VECTRON_CERTIFICATES, name);
const trusting = (authority = "ca.pem") => ({ useTls: true, tlsRootCertificates: readFileSync(path(authority)), timeoutMs: 60_000 });
const showing = (name) => ({ tlsClientCertificate: readFileSync(path(`${name}.pem`)), tlsClientKey: readFileSync(path(`${name}.key`)) });
const flags = ["--tls-cert", path("server.pem"), "--tls-key", path("server.key")];

let folder, tls, mutual, plain;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "vectron-ts-"));
  tls = await start(join(folder, "tls"), { flags });
  mutual = await start(join(folder, "mutual"), { flags: [...flags, "--tls-client-ca", path("ca.pem")] });
  plain = await start(join(folder, "plain"));
});
after(async () => {
  for (const server of [tls, mutual, plain]) assert.equal(await server.stop(), 0);
  await rm(folder, { recursive: true });
});

async function works(server, options) {
  const client = new VectronClient(server.grpc, undefined, { httpUrl: `https://${server.http}`, ...options });
  assert.deepEqual(await client.listCollections(), []);
  assert.ok((await client.admin.health()).overall_status);
  client.close();
}
async function refused(call, ...words) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof UnavailableError, String(error));
    for (const word of words) assert.ok(error.message.includes(word), error.message);
    return true;
  });
}
async function fails(server, options, ...words) {
  const client = new VectronClient(server.grpc, undefined, options);
  await refused(client.listCollections(), server.grpc, ...words);
  client.close();
}

test("the right authority is trusted", () => works(tls, trusting()));

test("a wrong authority or name is told", async () => {
  await fails(tls, trusting("other-ca.pem"), "TLS with", "tlsRootCertificates");
  await fails(tls, { ...trusting(), tlsServerName: "other.example" }, "TLS with", "tlsServerName");
  await fails(tls, { timeoutMs: 60_000 }, "useTls: true");
  await fails(plain, trusting(), "TLS with", "does this port speak TLS");
  const client = new VectronClient(tls.grpc, undefined, { httpUrl: `https://${tls.http}`, ...trusting("other-ca.pem") });
  await refused(client.admin.health(), "TLS with");
  client.close();
});

test("a client shows the certificate that the server wants", async () => {
  await works(mutual, { ...trusting(), ...showing("client") });
  await fails(mutual, trusting(), "tlsClientCertificate");
  await fails(mutual, { ...trusting(), ...showing("other-client") }, "tlsClientCertificate");
});
