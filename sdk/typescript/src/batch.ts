/** Splitting of many points into requests within the server's limits. */

import { InvalidArgumentError, VectronError } from "./errors.js";
import { checkJson } from "./payload.js";
import type { BatchOptions, Point, UpsertReport } from "./types.js";

export const MAX_UPSERT_POINTS = 100_000;
/** The server takes 64 MiB; room for names and framing. */
export const MAX_UPSERT_BYTES = 60 * 1024 * 1024;
/** Large enough that a call's own cost does not count, small enough to run several at once. */
export const DEFAULT_BATCH_BYTES = 2 * 1024 * 1024;

/** A random UUID, also in pages without TLS, to which browsers give no crypto.randomUUID. */
export function newRequestId(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Points [start, start + points.length) as one request. */
export interface Part {
  start: number;
  points: Point[];
  requestId: string;
}
export interface SplitOptions {
  maxPoints?: number;
  maxBytes?: number;
  /** Names the first request; "/1" and so on are added for the others. Random otherwise. */
  requestId?: string | undefined;
}

/** Errors: InvalidArgumentError naming the point (no id, a payload that is no JSON). Vectors are checked when they are sent. */
export function* splitPoints(points: Iterable<Point>, options: SplitOptions = {}): Generator<Part> {
  const maxPoints = Math.min(options.maxPoints ?? MAX_UPSERT_POINTS, MAX_UPSERT_POINTS);
  const maxBytes = Math.min(options.maxBytes ?? MAX_UPSERT_BYTES, MAX_UPSERT_BYTES);
  if (!(maxPoints >= 1 && maxBytes >= 1)) throw new InvalidArgumentError("a batch holds at least one point and one byte");
  let part: Point[] = [];
  let size = 0;
  let start = 0;
  let number = 0;
  const close = (): Part => {
    const { requestId } = options;
    const name = requestId === undefined ? newRequestId() : number === 0 ? requestId : `${requestId}/${number}`;
    return { start, points: part, requestId: name };
  };
  for (const point of points) {
    const bytes = pointBytes(point);
    if (part.length > 0 && (part.length >= maxPoints || size + bytes > maxBytes)) {
      yield close();
      start += part.length;
      number++;
      part = [];
      size = 0;
    }
    part.push(point);
    size += bytes;
  }
  if (part.length > 0) yield close();
}

/** No less than the point takes on the wire. */
function pointBytes(point: Point): number {
  if (typeof point.id !== "string" || point.id === "") {
    throw new InvalidArgumentError(`a point has the id ${JSON.stringify(point.id)}; ids are strings of 1-256 bytes of UTF-8`);
  }
  let bytes = 3 * point.id.length + 4 * (point.vector?.length ?? 0) + 32;
  if (point.payload !== undefined) {
    checkJson(point.payload, `payload of point ${JSON.stringify(point.id)}`);
    // A character takes up to 3 bytes; the wire's framing of a value up to 16 more than JSON's.
    bytes += 3 * JSON.stringify(point.payload).length + 16;
  }
  return bytes;
}

/** Sends the parts with several under way. Errors: what is no VectronError stops everything. */
export async function runBatch(
  points: Iterable<Point>,
  options: BatchOptions,
  send: (part: Part) => Promise<number>,
): Promise<UpsertReport> {
  const report: UpsertReport = { upserted: 0, failures: [] };
  let pointsDone = 0;
  let pointsFailed = 0;
  const parts = splitPoints(points, {
    maxPoints: options.batchSize ?? MAX_UPSERT_POINTS,
    maxBytes: options.maxBatchBytes ?? DEFAULT_BATCH_BYTES,
  });
  const worker = async () => {
    for (const part of parts) {
      try {
        const written = await send(part);
        report.upserted += written; // only now: the other workers add to it meanwhile
      } catch (error) {
        if (!(error instanceof VectronError)) throw error;
        report.failures.push({ start: part.start, ids: part.points.map((point) => point.id), error, requestId: part.requestId });
        pointsFailed += part.points.length;
      }
      pointsDone += part.points.length;
      options.onProgress?.({ pointsDone, pointsFailed });
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, options.concurrency ?? 4) }, worker));
  report.failures.sort((a, b) => a.start - b.start);
  return report;
}
