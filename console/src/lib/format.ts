// Numbers, sizes and times as people read them.
const whole = new Intl.NumberFormat('en-US');
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });

export function count(value: number | string): string {
  return whole.format(Number(value));
}

// "1 shard", "2 shards": the noun in the plural is its singular with an s.
export function countOf(value: number | string, noun: string): string {
  return Number(value) === 1 ? `1 ${noun}` : `${count(value)} ${noun}s`;
}

export function shortCount(value: number | string): string {
  const number = Number(value);
  return Math.abs(number) < 100_000 ? whole.format(number) : compact.format(number);
}

export function bytes(value: number | string): string {
  const number = Number(value);
  if (number < 1024) return `${whole.format(number)} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let size = number;
  let unit = -1;
  do {
    size /= 1024;
    unit += 1;
  } while (size >= 1024 && unit < units.length - 1);
  return `${size.toFixed(size >= 100 ? 0 : 1)} ${units[unit]}`;
}

// Three significant digits without trailing zeros.
export function significant(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  if (Math.abs(value) >= 1000) return whole.format(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

export function millis(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1000) return `${significant(value / 1000)} s`;
  if (value >= 1 || value === 0) return `${significant(value)} ms`;
  return `${significant(value * 1000)} µs`;
}

export function percent(fraction: number): string {
  return `${significant(fraction * 100)} %`;
}

export function duration(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  const days = Math.floor(total / 86_400);
  const hours = Math.floor((total % 86_400) / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min ${total % 60} s`;
  return `${total} s`;
}

export function ago(thenMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - thenMs) / 1000));
  if (seconds < 2) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86_400)} d ago`;
}

export function date(ms: number): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' }).format(ms);
}

export function dateTime(ms: number): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' }).format(ms);
}

export function score(value: number): string {
  return value.toPrecision(6).replace(/\.?0+$/, '');
}
