/** When a failed call is tried again, and after which pause. */

import { tooLarge, type VectronError } from "./errors.js";

/**
 * A read changes nothing. A named write carries a request id, so that a repeat applies once. Any other write may have happened
 * when its answer was lost: it is repeated only when the server said that it did not begin.
 */
export type Kind = "read" | "named write" | "other write";

export interface RetryPolicy {
  /** 1: never try again. */
  maxAttempts: number;
  initialBackoffMs: number;
  maxBackoffMs: number;
  /** In [0, 1); Math.random unless a test says otherwise. */
  jitter: () => number;
}

export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 5, initialBackoffMs: 100, maxBackoffMs: 3_000, jitter: Math.random };

const SAFE_TO_REPEAT = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"]);

/**
 * The pause before the next attempt in milliseconds, or undefined: give up. attempt: attempts made so far, at least 1. The pause
 * doubles, is randomised, and is never shorter than the server asked for. A server that asks to slow down and says for how long is
 * heeded until the time of the call is over, whatever maxAttempts (unless that is 1): it works, and a loader is to go at its pace. A
 * message or an answer over a limit of size is not tried again: it would be as large.
 */
export function pauseMs(
  policy: RetryPolicy,
  error: VectronError,
  kind: Kind,
  attempt: number,
  remainingMs: number,
): number | undefined {
  const worth = kind === "other write" ? error.code === "RESOURCE_EXHAUSTED" : SAFE_TO_REPEAT.has(error.code);
  const paced = error.code === "RESOURCE_EXHAUSTED" && error.retryAfterMs !== undefined && policy.maxAttempts > 1;
  if (!worth || tooLarge(error) || (attempt >= policy.maxAttempts && !paced)) return undefined;
  const ceiling = Math.min(policy.maxBackoffMs, policy.initialBackoffMs * 2 ** (attempt - 1));
  let pause = ceiling * (0.5 + 0.5 * policy.jitter());
  if (error.retryAfterMs !== undefined) {
    // Spread over a quarter more, so that all who were told the same do not come back at once.
    pause = Math.max(pause, error.retryAfterMs * (1 + 0.25 * policy.jitter()));
  }
  return pause < remainingMs ? pause : undefined;
}
