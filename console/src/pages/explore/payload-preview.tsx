// The first fields of a payload in one or two lines.
import type { JsonObject, JsonValue } from '../../api/generated';
import css from './explore.module.css';

const mostFields = 6;
const mostCharacters = 90;

export function shortValue(value: JsonValue): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters)}…` : text;
}

const telling = ['name', 'title', 'text'];
const shortCharacters = 40;

// What tells points apart for a reader comes first: names, then short strings.
function rank(key: string, value: JsonValue): number {
  const at = telling.indexOf(key.toLowerCase());
  if (at >= 0) return at;
  return typeof value === 'string' && value !== '' && value.length <= shortCharacters ? telling.length : telling.length + 1;
}

export function PayloadPreview({ payload }: { payload: JsonObject }) {
  const entries = Object.entries(payload).sort(([a, x], [b, y]) => rank(a, x) - rank(b, y));
  if (entries.length === 0) return <span className="dim">no payload</span>;
  return (
    <span className={css.preview}>
      {entries.slice(0, mostFields).map(([key, value]) => (
        <span key={key} className={css.field}>
          <span className="dim">{key}</span> {shortValue(value)}
        </span>
      ))}
      {entries.length > mostFields && <span className="dim">and {entries.length - mostFields} more</span>}
    </span>
  );
}
