// How many points a picture of a collection may take, and how they are coloured.
import type { JsonObject } from '../api/generated';

// Numbers fetched and projected for one picture stay under this, whatever the dimension.
const mostNumbers = 1_200_000;

export function sampleSize(dimension: number, wanted: number): number {
  return Math.max(2, Math.min(wanted, Math.floor(mostNumbers / Math.max(1, dimension))));
}

export const palette = ['#3f63ea', '#e08a1e', '#17a07a', '#d8463b', '#9a5bd6', '#2aa5c9', '#b78a12', '#d24f93'];
export const otherColor = '#8a93a3';

export interface Coloring {
  colors: string[]; // one per row
  keys: { label: string; color: string; count: number }[];
}

// Colours rows by a field of their payloads: the most frequent values get a colour of their own. '' : all alike.
export function colorBy(payloads: readonly JsonObject[], field: string): Coloring {
  if (field === '') return { colors: payloads.map(() => palette[0]!), keys: [] };
  const valueOf = (payload: JsonObject) => (payload[field] === undefined ? 'none' : JSON.stringify(payload[field]));
  const counts = new Map<string, number>();
  for (const payload of payloads) counts.set(valueOf(payload), (counts.get(valueOf(payload)) ?? 0) + 1);
  const ranked = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const chosen = ranked.slice(0, ranked.length > palette.length ? palette.length - 1 : palette.length);
  const colors = new Map(chosen.map(([value], at) => [value, palette[at]!]));
  const keys = chosen.map(([value, count], at) => ({ label: value.replace(/^"|"$/g, ''), color: palette[at]!, count }));
  const rest = ranked.slice(chosen.length).reduce((sum, [, count]) => sum + count, 0);
  if (rest > 0) keys.push({ label: `${ranked.length - chosen.length} other values`, color: otherColor, count: rest });
  return { colors: payloads.map((payload) => colors.get(valueOf(payload)) ?? otherColor), keys };
}

// The fields of the sample that can colour it: those with at least two values, fewest first.
export function colorFields(payloads: readonly JsonObject[]): string[] {
  const values = new Map<string, Set<string>>();
  for (const payload of payloads) {
    for (const [key, value] of Object.entries(payload)) {
      const set = values.get(key) ?? new Set();
      if (set.size <= 60) set.add(JSON.stringify(value));
      values.set(key, set);
    }
  }
  return [...values]
    .filter(([, set]) => set.size >= 2 && set.size <= 60)
    .sort((a, b) => a[1].size - b[1].size)
    .map(([key]) => key);
}
