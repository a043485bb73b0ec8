// States as words and tones.
import type { Tone } from '../components/ui';

export function healthTone(status: string): Tone {
  if (status === 'healthy' || status === 'up' || status === 'ready' || status === 'READY') return 'good';
  if (status === 'critical' || status === 'down' || status === 'unavailable' || status === 'failed' || status === 'DEAD') return 'bad';
  if (status === 'no_leader') return 'bad';
  if (status === 'unknown') return 'plain';
  return 'warn';
}

// "under_replicated" becomes "Under replicated".
export function healthWords(status: string): string {
  const words = status.replace(/_/g, ' ').toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// A worker by the words that every page has for it: the server says "1" in one place and "worker-1" in another.
export function workerName(id: string): string {
  return `worker ${id.replace(/^worker-/, '')}`;
}

export function levelTone(level: string): Tone {
  if (level === 'critical') return 'bad';
  return level === 'warning' ? 'warn' : 'accent';
}
