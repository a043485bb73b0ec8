// The first fields of a payload in one or two lines.
import type { JsonObject, JsonValue } from '../../api/generated';
import css from './explore.module.css';

const mostFields = 6;
const mostCharacters = 90;

export function shortValue(value: JsonValue): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters)}…` : text;
}

export function PayloadPreview({ payload }: { payload: JsonObject }) {
  const entries = Object.entries(payload);
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
