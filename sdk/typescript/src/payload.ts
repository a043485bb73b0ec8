/** What may be stored: JSON, and vectors of finite 32-bit floats. */

import { InvalidArgumentError } from "./errors.js";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Payload = { [key: string]: Json };
export type Vector = ArrayLike<number>;

const MAX_DEPTH = 32;

/** Errors: InvalidArgumentError naming the path of what is no JSON. */
export function checkJson(value: unknown, where: string, depth = 0): void {
  switch (typeof value) {
    case "string":
      if (!isWellFormed(value)) {
        throw new InvalidArgumentError(`${where}: the string is no valid Unicode (a lone surrogate)`);
      }
      return;
    case "boolean":
      return;
    case "number":
      if (!Number.isFinite(value)) {
        throw new InvalidArgumentError(`${where}: ${value} is no JSON number; leave the field out or use null`);
      }
      return;
    case "object":
      break;
    default:
      throw new InvalidArgumentError(
        `${where}: a ${typeof value} is no JSON value; use a string, number, boolean, array or object` +
          (typeof value === "bigint" ? ", and a string for a large whole number" : ""),
      );
  }
  if (value === null) return;
  if (depth >= MAX_DEPTH) throw new InvalidArgumentError(`${where}: nested deeper than ${MAX_DEPTH}; flatten it`);
  if (value instanceof Date) {
    throw new InvalidArgumentError(`${where}: a Date is no JSON value; store date.toISOString()`);
  }
  if (Array.isArray(value)) {
    value.forEach((item) => checkJson(item, where, depth + 1));
    return;
  }
  for (const [key, inner] of Object.entries(value)) checkJson(inner, `${where}.${key}`, depth + 1);
}

function isWellFormed(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0xd800 || unit > 0xdfff) continue;
    const next = text.charCodeAt(at + 1);
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false;
    at++;
  }
  return true;
}

/** The components as 32-bit floats, without a copy where they are already. Errors: InvalidArgumentError naming `what`. */
export function toFloats(vector: Vector, what: string): Float32Array {
  if (typeof vector !== "object" || vector === null || typeof vector.length !== "number") {
    throw new InvalidArgumentError(`${what}: the vector is no array of numbers`);
  }
  if (vector.length === 0) throw new InvalidArgumentError(`${what}: the vector is empty`);
  const floats = vector instanceof Float32Array ? vector : Float32Array.from(vector);
  for (let at = 0; at < floats.length; at++) {
    if (!Number.isFinite(floats[at])) {
      throw new InvalidArgumentError(
        `${what}: component ${at} of the vector is ${String(vector[at])}; vectors must be finite 32-bit floats`,
      );
    }
  }
  return floats;
}

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The floats in the wire's byte order; a view, not a copy, on little-endian machines. */
export function floatBytes(floats: Float32Array): Uint8Array {
  if (LITTLE_ENDIAN) return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  const view = new DataView(new ArrayBuffer(floats.length * 4));
  floats.forEach((value, at) => view.setFloat32(at * 4, value, true));
  return new Uint8Array(view.buffer);
}
