/**
 * Errors, one class per thing a caller can do about it. A call that fails has already been retried where that was safe.
 */

/** Status names of gRPC by number. */
export const CODES = [
  "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;
export type Code = (typeof CODES)[number];

/** Base of all errors of this package. */
export class VectronError extends Error {
  /** The gRPC status name. */
  readonly code: Code;
  /** How long the server asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  constructor(message: string, code: Code = "UNKNOWN", retryAfterMs?: number) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The request is wrong: fix it. Nothing was written. */
export class InvalidArgumentError extends VectronError {
  constructor(message: string, code: Code = "INVALID_ARGUMENT", retryAfterMs?: number) {
    super(message, code, retryAfterMs);
  }
}
/** No credential, or one that is wrong or expired. */
export class AuthenticationError extends VectronError {}
/** The credential is good but does not allow this. */
export class PermissionDeniedError extends VectronError {}
/** The collection or the point does not exist (or belongs to someone else). */
export class NotFoundError extends VectronError {}
/** The name is taken, or an `insertOnly` point exists. */
export class AlreadyExistsError extends VectronError {}
/** The system is not in the state the request needs. */
export class FailedPreconditionError extends VectronError {}
/** Something changed meanwhile: read again, then try again. */
export class AbortedError extends VectronError {}
/** Too much at once: slow down, honouring `retryAfterMs`. */
export class ResourceExhaustedError extends VectronError {}
/** The server cannot be reached or is starting. */
export class UnavailableError extends VectronError {}
/** No answer in time. A write may have happened. */
export class DeadlineExceededError extends VectronError {}
/** This server does not offer that. */
export class UnimplementedError extends VectronError {}
/** Stored data is damaged: tell an operator. */
export class DataLossError extends VectronError {}
/** The call was cancelled, or the client closed. */
export class CancelledError extends VectronError {}
/** A fault of the server; its log says more. */
export class InternalServerError extends VectronError {}

const CLASSES: Partial<Record<Code, new (message: string, code: Code, retryAfterMs?: number) => VectronError>> = {
  INVALID_ARGUMENT: InvalidArgumentError,
  OUT_OF_RANGE: InvalidArgumentError,
  UNAUTHENTICATED: AuthenticationError,
  PERMISSION_DENIED: PermissionDeniedError,
  NOT_FOUND: NotFoundError,
  ALREADY_EXISTS: AlreadyExistsError,
  FAILED_PRECONDITION: FailedPreconditionError,
  ABORTED: AbortedError,
  RESOURCE_EXHAUSTED: ResourceExhaustedError,
  UNAVAILABLE: UnavailableError,
  DEADLINE_EXCEEDED: DeadlineExceededError,
  UNIMPLEMENTED: UnimplementedError,
  DATA_LOSS: DataLossError,
  CANCELLED: CancelledError,
  INTERNAL: InternalServerError,
  UNKNOWN: InternalServerError,
};

function unreachable(host: string, message: string): string {
  if (/certificate|altnames|handshake|ssl|eproto/i.test(message)) {
    return ` [TLS with ${host} failed: do tlsRootCertificates hold the authority that signed its certificate, is the host one of the certificate's names (else tlsServerName), does the server want a client's certificate (tlsClientCertificate and tlsClientKey), and does this port speak TLS at all?]`;
  }
  if (/reset|closed|hang up|dropped|epipe|failed to connect/i.test(message)) {
    return ` [${host} closed the connection: was it restarted, does it want TLS (useTls: true), or with TLS a client's certificate (tlsClientCertificate and tlsClientKey)?]`;
  }
  return ` [cannot reach ${host}, or it is busy: is the server running, and is this its address (gRPC 8081, HTTP 8080)?]`;
}

/** The words of gRPC, of either side. */
const LARGE_MESSAGE = /message.* larger than/i;
/** Those of HTTP. */
const LARGE_BODY = /is larger than|at most \d+ are taken here/;
/** The gateway's, of the hits of a search. */
const LARGE_ANSWER = "the most of one answer";

/** Whether it is about the size of one message or answer, so that a repeat fails the same way. */
export function tooLarge(error: VectronError): boolean {
  const { code, message } = error;
  return code === "RESOURCE_EXHAUSTED" && (LARGE_MESSAGE.test(message) || LARGE_BODY.test(message) || message.includes(LARGE_ANSWER));
}

/** What to do about it, where the code alone tells. */
function advice(code: Code, host: string, message: string): string {
  switch (code) {
    case "UNAVAILABLE":
      return unreachable(host, message);
    case "UNAUTHENTICATED":
      return " [pass an API key or the token of a login; expired tokens need a new login]";
    case "PERMISSION_DENIED":
      return " [use a credential with more rights]";
    case "DEADLINE_EXCEEDED":
      return ` [no answer from ${host} in time and the outcome is unknown: pass a longer timeoutMs, and repeat a write with the same requestId]`;
    case "RESOURCE_EXHAUSTED":
      if (message.includes(LARGE_ANSWER)) return ""; // it says what to ask for instead
      if (LARGE_BODY.test(message)) return " [send smaller batches]";
      return LARGE_MESSAGE.test(message)
        ? " [send smaller batches or ask for less at once, or make the client with a larger maxMessageBytes]"
        : " [slow down: fewer calls at once, or smaller batches]";
    case "UNIMPLEMENTED":
      return " [this server does not offer it]";
    default:
      return "";
  }
}

/** The error of a status code, worded for the person who reads it. */
export function makeError(code: Code, message: string, host: string, retryAfterMs?: number): VectronError {
  const kind = CLASSES[code] ?? VectronError;
  return new kind((message || code) + advice(code, host, message), code, retryAfterMs);
}
