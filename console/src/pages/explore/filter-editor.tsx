// Builds a filter row by row, or as JSON.
import { ActionIcon, Button, NativeSelect, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { FilterInput } from '../../api/generated';
import { IconPlus, IconTrash } from '../../components/icons';
import { filterOf, needsField, needsValue, operators, parseFilter, type Clause, type Operator, type Row } from '../../lib/filter';
import css from './explore.module.css';

export interface FilterState {
  rows: Row[];
  json: string | null; // null: the rows hold
}

export const noFilter: FilterState = { rows: [], json: null };

export function filterIn(state: FilterState): { filter?: FilterInput; problem?: string } {
  if (state.json === null) return { filter: filterOf(state.rows) };
  const parsed = parseFilter(state.json);
  return parsed.ok ? { filter: parsed.value } : { problem: parsed.problem };
}

let nextKey = 1;
const newRow = (): Row => ({ key: nextKey++, clause: 'must', field: '', operator: 'is', value: '' });

export function FilterEditor({ state, onChange }: { state: FilterState; onChange: (state: FilterState) => void }) {
  if (state.json !== null) return <JsonFilter state={state} onChange={onChange} />;
  const change = (key: number, next: Partial<Row>) =>
    onChange({ ...state, rows: state.rows.map((row) => (row.key === key ? { ...row, ...next } : row)) });
  return (
    <div className={css.filter} role="group" aria-label="Filter">
      {state.rows.map((row, at) => (
        <RowEditor
          key={row.key}
          row={row}
          at={at + 1}
          onChange={(next) => change(row.key, next)}
          onRemove={() => onChange({ ...state, rows: state.rows.filter((other) => other.key !== row.key) })}
        />
      ))}
      <div className={css.rowActions}>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlus size={14} />}
          onClick={() => onChange({ ...state, rows: [...state.rows, newRow()] })}
        >
          {state.rows.length === 0 ? 'Add filter' : 'Add condition'}
        </Button>
        <Button
          size="xs"
          variant="subtle"
          onClick={() => onChange({ ...state, json: JSON.stringify(filterOf(state.rows) ?? { must: [] }, null, 2) })}
        >
          Write as JSON
        </Button>
      </div>
    </div>
  );
}

function RowEditor(props: { row: Row; at: number; onChange: (next: Partial<Row>) => void; onRemove: () => void }) {
  const { row, at, onChange } = props;
  return (
    <div className={css.row}>
      <NativeSelect
        aria-label={`Clause ${at}`}
        data={[
          { value: 'must', label: 'must' },
          { value: 'should', label: 'should' },
          { value: 'must_not', label: 'must not' },
        ]}
        value={row.clause}
        onChange={(event) => onChange({ clause: event.currentTarget.value as Clause })}
      />
      <TextInput
        aria-label={`Field ${at}`}
        placeholder={needsField(row.operator) ? 'field, tags[], a.b' : ''}
        value={row.field}
        disabled={!needsField(row.operator)}
        onChange={(event) => onChange({ field: event.currentTarget.value })}
        spellCheck={false}
      />
      <NativeSelect
        aria-label={`Test ${at}`}
        data={[...operators]}
        value={row.operator}
        onChange={(event) => onChange({ operator: event.currentTarget.value as Operator })}
      />
      <TextInput
        aria-label={`Value ${at}`}
        placeholder={row.operator === 'any of' || row.operator === 'id is' ? 'a, b, c' : needsValue(row.operator) ? 'value' : ''}
        value={row.value}
        disabled={!needsValue(row.operator)}
        onChange={(event) => onChange({ value: event.currentTarget.value })}
        spellCheck={false}
      />
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Remove condition ${at}`} onClick={props.onRemove}>
        <IconTrash />
      </ActionIcon>
    </div>
  );
}

function JsonFilter({ state, onChange }: { state: FilterState; onChange: (state: FilterState) => void }) {
  const [text, setText] = useState(state.json ?? '');
  const parsed = parseFilter(text);
  return (
    <div className={css.filter}>
      <Textarea
        label="Filter"
        value={text}
        rows={7}
        spellCheck={false}
        error={parsed.ok ? undefined : parsed.problem}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12.5 } }}
        onChange={(event) => {
          setText(event.currentTarget.value);
          onChange({ ...state, json: event.currentTarget.value });
        }}
      />
      <div className={css.rowActions}>
        <Button size="xs" variant="subtle" onClick={() => onChange({ ...state, json: null })}>
          Back to conditions
        </Button>
      </div>
    </div>
  );
}
