/** The server's hint when to come back: a google.rpc.RetryInfo within a google.rpc.Status. */

import { BinaryReader } from "@bufbuild/protobuf/wire";

const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo";

/** In milliseconds; undefined when there is none, or the bytes are none. */
export function retryAfterMs(status: Uint8Array): number | undefined {
  try {
    for (const any of bytesFields(status, 3)) {
      const url = bytesFields(any, 1)[0];
      if (!url || new TextDecoder().decode(url) !== RETRY_INFO) continue;
      const info = bytesFields(any, 2)[0];
      const duration = info && bytesFields(info, 1)[0];
      if (duration) return Number(varint(duration, 1)) * 1_000 + Number(varint(duration, 2)) / 1e6;
    }
  } catch {
    // Bytes that are no protobuf carry no hint.
  }
  return undefined;
}

function bytesFields(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [number, kind] = reader.tag();
    if (number === wanted && kind === 2) found.push(reader.bytes());
    else reader.skip(kind);
  }
  return found;
}

function varint(message: Uint8Array, wanted: number): bigint {
  const reader = new BinaryReader(message);
  let value = 0n;
  while (reader.pos < reader.len) {
    const [number, kind] = reader.tag();
    if (number === wanted && kind === 0) value = BigInt(reader.int64());
    else reader.skip(kind);
  }
  return value;
}
