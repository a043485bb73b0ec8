// The building blocks of every page.
import { Button, Skeleton } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import { useEffect, useId, useMemo, useState, type ReactNode } from 'react';
import { adviceFor, troubleOf } from '../api/errors';
import { IconAlert, IconInbox, IconLock, IconPlug } from './icons';
import css from './ui.module.css';

export { css };

// A page: its title is also the document's.
export function Page(props: { title: string; lead?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${props.title} · Vectron`;
  }, [props.title]);
  return (
    <div className={css.page}>
      <div className={css.head}>
        <div className={css.headText}>
          <h1 className={css.title}>{props.title}</h1>
          {props.lead && <p className={css.lead}>{props.lead}</p>}
        </div>
        {props.actions && <div className={css.actions}>{props.actions}</div>}
      </div>
      {props.children}
    </div>
  );
}

export function Panel(props: { title?: string; side?: ReactNode; flush?: boolean; children: ReactNode }) {
  const id = useId();
  return (
    <section className={css.panel} aria-labelledby={props.title ? id : undefined}>
      {props.title && (
        <div className={css.panelHead}>
          <h2 className={css.panelTitle} id={id}>
            {props.title}
          </h2>
          {props.side}
        </div>
      )}
      {props.flush ? props.children : <div className={css.panelBody}>{props.children}</div>}
    </section>
  );
}

export interface Fact {
  label: string;
  value: ReactNode;
  note?: ReactNode;
}

// Figures in a row. A figure that was not measured is left out by the caller, never shown as zero.
export function Tiles({ facts }: { facts: Fact[] }) {
  return (
    <div className={css.tiles}>
      {facts.map((fact) => (
        <div className={css.tile} key={fact.label}>
          <div className={css.tileLabel}>{fact.label}</div>
          <div className={css.tileValue}>{fact.value}</div>
          {fact.note && <div className={css.tileNote}>{fact.note}</div>}
        </div>
      ))}
    </div>
  );
}

// In the place of tiles whose figures are not here yet, of their size.
export function TilesLoading({ labels }: { labels: string[] }) {
  const facts = labels.map((label) => ({ label, value: <Skeleton height={20} width="70%" my={6} />, note: '\u00a0' }));
  return (
    <div role="status" aria-label="Loading">
      <Tiles facts={facts} />
    </div>
  );
}

export function Facts({ facts }: { facts: Fact[] }) {
  return (
    <dl className={css.facts}>
      {facts.map((fact) => (
        <div key={fact.label}>
          <dt>{fact.label}</dt>
          <dd>{fact.value}</dd>
        </div>
      ))}
    </dl>
  );
}

export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'accent';

export function Tag({ tone = 'plain', dot, children }: { tone?: Tone; dot?: boolean; children: ReactNode }) {
  return (
    <span className={css.tag} data-tone={tone}>
      {dot && <span className={css.dot} />}
      {children}
    </span>
  );
}

// A table that scrolls sideways inside its panel, also by keyboard.
export function Table({ label, head, children }: { label: string; head: ReactNode; children: ReactNode }) {
  return (
    <div className={css.scroll} role="region" aria-label={label} tabIndex={0}>
      <table className={css.table}>
        <thead>
          <tr>{head}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export function Empty(props: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className={css.state}>
      <span className={css.stateIcon}>
        <IconInbox size={22} />
      </span>
      <p className={css.stateTitle}>{props.title}</p>
      {props.children && <p className={css.stateText}>{props.children}</p>}
      {props.action}
    </div>
  );
}

// In the place of what only a server with credentials has.
export function CredentialsOff({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Page title={title}>
      <Panel flush>
        <Empty title="Credentials are off">This server asks nobody for credentials: everyone who reaches it may do everything. {children}</Empty>
      </Panel>
    </Page>
  );
}

// What went wrong and what to do about it.
export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const trouble = troubleOf(error);
  const advice = adviceFor(error);
  const Icon = trouble === 'forbidden' ? IconLock : trouble === 'unsupported' || trouble === 'offline' ? IconPlug : IconAlert;
  return (
    <div className={css.state} role={trouble === 'unsupported' ? undefined : 'alert'} data-trouble={trouble}>
      <span className={css.stateIcon}>
        <Icon size={22} />
      </span>
      <p className={css.stateTitle}>{advice.title}</p>
      <p className={css.stateText}>{advice.text}</p>
      {advice.canRetry && onRetry && (
        <Button variant="default" size="xs" onClick={onRetry} mt={6}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Loading({ rows = 3, height = 18 }: { rows?: number; height?: number }) {
  return (
    <div className={css.panelBody} role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} height={height} mb={row === rows - 1 ? 0 : 12} />
      ))}
    </div>
  );
}

// Shows what a query brought; before that a placeholder of about its size, else why it failed. Data that is there stays on
// screen when a later refresh fails.
export function Loaded<T>(props: {
  query: UseQueryResult<T, Error>;
  rows?: number;
  height?: number;
  children: (data: T) => ReactNode;
}) {
  const { query } = props;
  if (query.data !== undefined) return props.children(query.data);
  if (query.error) return <Failure error={query.error} onRetry={() => void query.refetch()} />;
  return <Loading rows={props.rows} height={props.height} />;
}

// A share of a whole, with the figure beside it for those who cannot see the bar. Of what is used up (`of` usage) a large share
// is a warning; of what is done it is not.
export function Bar({ fraction, label, of = 'usage' }: { fraction: number; label: string; of?: 'usage' | 'progress' }) {
  const bounded = Math.min(1, Math.max(0, fraction));
  const tone = of === 'progress' || bounded <= 0.8 ? 'plain' : bounded > 0.92 ? 'bad' : 'warn';
  return (
    <div
      className={css.bar}
      data-tone={tone}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(bounded * 100)}
    >
      <span style={{ width: `${bounded * 100}%` }} />
    </div>
  );
}

// More than this is cut until it is asked for: laying out a megabyte of text holds up the page.
const mostJsonCharacters = 20_000;

export function Json({ value }: { value: unknown }) {
  const [whole, setWhole] = useState(false);
  const text = useMemo(() => JSON.stringify(value, null, 2), [value]);
  const cut = !whole && text.length > mostJsonCharacters;
  return (
    <>
      <pre className={css.code} tabIndex={0}>
        {cut ? `${text.slice(0, mostJsonCharacters)}…` : text}
      </pre>
      {cut && (
        <Button size="xs" variant="default" onClick={() => setWhole(true)}>
          Show all {text.length.toLocaleString('en-US')} characters
        </Button>
      )}
    </>
  );
}
