// What a chart over time shows of the time that was asked for.
const shortestMs = 20_000;

// From the first measurement on, but no more than `windowMs` and no less than 20 seconds; until the last one, or now when there is
// none. times: ms, ascending.
export function spanOf(times: readonly number[], windowMs: number, nowMs: number): { fromMs: number; untilMs: number } {
  const untilMs = times.at(-1) ?? nowMs;
  const measuredMs = times[0] === undefined ? windowMs : Math.max(untilMs - times[0], shortestMs);
  return { fromMs: untilMs - Math.min(windowMs, measuredMs), untilMs };
}
