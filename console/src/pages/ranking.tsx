// What reranking has learned of a collection, and the decision over it.
import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../api/client';
import type { Evidence, GetCollectionStatusResponse, ListFeedbackResponse, ModelAction, ModelStatus } from '../api/generated';
import { collectionStatus, ranking } from '../api/queries';
import { Confirm } from '../components/dialogs';
import { OneCollection } from '../components/one-collection';
import { useToasts } from '../components/toasts';
import { css, Empty, Facts, Loaded, Page, Panel, Table, Tag, Tiles, type Fact, type Tone } from '../components/ui';
import * as format from '../lib/format';

export default function Ranking() {
  return (
    <Page title="Reranking" lead="Searches that carry a query text are ordered anew, by a strategy of their own or the collection’s.">
      <OneCollection empty={<Empty title="There are no collections">Reranking learns per collection.</Empty>}>
        {(name) => (
          <>
            <Model key={name} collection={name} />
            <FeedbackList key={`feedback ${name}`} collection={name} />
          </>
        )}
      </OneCollection>
    </Page>
  );
}

const stateTone: Record<string, Tone> = { rule: 'plain', canary: 'accent', learned: 'good' };
const stateWords: Record<string, string> = {
  rule: 'The rule stands in for it where the strategy is “learned”',
  canary: 'It is tried on some searches where the strategy is “learned”',
  learned: 'It orders the answers where the strategy is “learned”',
};
const strategyWords: Record<string, string> = {
  none: 'By distance alone',
  rule: 'By nearness, words and age',
  learned: 'By what feedback taught, once the evidence suffices',
  llm: 'By a language model',
};

function strategyOf({ options }: GetCollectionStatusResponse): Fact {
  const strategy = options?.rerank?.strategy;
  return strategy
    ? { label: 'Strategy', value: strategy, note: strategyWords[strategy] }
    : { label: 'Strategy', value: 'the server’s', note: 'The collection names none' };
}

function Model({ collection }: { collection: string }) {
  const learned = useQuery(ranking(collection));
  const status = useQuery(collectionStatus(collection));
  if (!learned.data) {
    return (
      <Panel flush>
        <Loaded query={learned} rows={5}>
          {() => null}
        </Loaded>
      </Panel>
    );
  }
  const model = learned.data;
  return (
    <>
      <Tiles
        facts={[
          ...(status.data ? [strategyOf(status.data)] : []),
          { label: 'Model', value: <Tag tone={stateTone[model.state]}>{model.state || 'rule'}</Tag>, note: stateWords[model.state] },
          { label: 'Events learned', value: format.count(model.events) },
          { label: 'Trials', value: format.count(model.canaries) },
          { label: 'Promotions', value: format.count(model.promotions) },
          { label: 'Rollbacks', value: format.count(model.rollbacks) },
        ]}
      />
      <Decisions collection={collection} model={model} />
      <div className={css.columns}>
        <EvidencePanel model={model} />
        <Weights model={model} />
      </div>
      <Versions collection={collection} model={model} />
    </>
  );
}

const acts: { action: ModelAction; label: string; title: string; text: string; danger?: boolean }[] = [
  {
    action: 'MODEL_PROMOTE',
    label: 'Promote',
    title: 'Serve the learned model',
    text: 'From now on the learned model orders this collection’s answers where the strategy is “learned”, whatever the evidence says so far.',
  },
  {
    action: 'MODEL_ROLLBACK',
    label: 'Roll back',
    title: 'Serve the rule',
    text: 'From now on the rule orders this collection’s answers where the strategy is “learned”. What was learned is kept.',
  },
  {
    action: 'MODEL_RESUME',
    label: 'Let the evidence decide',
    title: 'Let the evidence decide again',
    text: 'The model may be tried and promoted by itself again.',
  },
  {
    action: 'MODEL_RESET',
    label: 'Forget all',
    title: 'Forget what was learned',
    text: 'The model of this collection starts again from the rule. This cannot be undone.',
    danger: true,
  },
];

function useControl(collection: string, onDone: () => void) {
  const client = useQueryClient();
  const toasts = useToasts();
  return useMutation({
    mutationFn: (request: { action: ModelAction; version?: string }) => call('ControlRanking', { collection, ...request }),
    onSuccess: (model) => {
      client.setQueryData(ranking(collection).queryKey, model);
      toasts.say('Done', model.lastChange);
    },
    onError: (error) => toasts.fail('Nothing was changed', error),
    onSettled: onDone,
  });
}

function Decisions({ collection, model }: { collection: string; model: ModelStatus }) {
  const [asked, setAsked] = useState<(typeof acts)[number] | null>(null);
  const control = useControl(collection, () => setAsked(null));
  const possible = acts.filter((act) => {
    if (act.action === 'MODEL_PROMOTE') return model.state !== 'learned' && model.events !== '0';
    if (act.action === 'MODEL_ROLLBACK') return model.state !== 'rule';
    if (act.action === 'MODEL_RESUME') return model.held;
    return model.events !== '0';
  });
  return (
    <Panel
      title="Decision"
      side={
        <div className={css.actions}>
          {possible.map((act) => (
            <Button key={act.action} size="xs" variant="default" onClick={() => setAsked(act)}>
              {act.label}
            </Button>
          ))}
        </div>
      }
    >
      <p style={{ margin: 0 }}>
        {model.lastChange || 'Nothing has changed it yet.'}
        {model.held && ' It was taken back twice in 7 days and stays with the rule until a person decides.'}
      </p>
      <Confirm
        opened={asked !== null}
        title={asked?.title ?? ''}
        act={asked?.label ?? ''}
        danger={asked?.danger}
        busy={control.isPending}
        onClose={() => setAsked(null)}
        onConfirm={() => asked && control.mutate({ action: asked.action })}
      >
        {asked?.text}
      </Confirm>
    </Panel>
  );
}

function EvidencePanel({ model }: { model: ModelStatus }) {
  const show = (evidence: Evidence | null) =>
    evidence && evidence.sessions > 0
      ? `${format.significant(evidence.mean)} ± ${format.significant(evidence.standardError)} over ${format.significant(evidence.sessions)} sessions`
      : 'none yet';
  const facts: Fact[] = [
    { label: 'In the shadow: clicks in the model’s favour where it disagrees with the rule', value: show(model.shadow) },
    { label: 'Live: searches won by the model (+1) or the rule (−1)', value: show(model.live) },
    { label: 'Guard: how well the model foretells clicks, less the rule', value: show(model.guard) },
  ];
  if (model.shadow && model.shadow.sessions > 0) {
    facts.push({
      label: 'Off-policy click rate, model and rule (shown, decides nothing)',
      value: `${format.significant(model.snipsModel)}, ${format.significant(model.snipsRule)}`,
    });
  }
  return (
    <Panel title="Evidence">
      <Facts facts={facts} />
    </Panel>
  );
}

function Weights({ model }: { model: ModelStatus }) {
  const most = Math.max(1e-9, ...model.weights.map((weight) => Math.abs(weight.value)));
  return (
    <Panel title="What the model weighs" flush>
      {model.weights.length === 0 ? (
        <Empty title="Nothing was learned yet">Send feedback on reranked answers: clicks, or grades from 1 to 5.</Empty>
      ) : (
        <Table
          label="Weights"
          head={
            <>
              <th>Feature</th>
              <th className={css.right}>Weight</th>
              <th style={{ width: '45%' }}>
                <span className="dim">Size</span>
              </th>
            </>
          }
        >
          {model.weights.map((weight) => (
            <tr key={weight.name}>
              <td>{weight.name}</td>
              <td className={css.right}>{format.significant(weight.value)}</td>
              <td aria-hidden="true">
                <div className={css.bar} style={{ marginTop: 6 }} data-tone={weight.value < 0 ? 'warn' : 'plain'}>
                  <span style={{ width: `${(Math.abs(weight.value) / most) * 100}%` }} />
                </div>
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}

function Versions({ collection, model }: { collection: string; model: ModelStatus }) {
  const [version, setVersion] = useState<string | null>(null);
  const control = useControl(collection, () => setVersion(null));
  return (
    <Panel title="Saved versions" flush>
      {model.versions.length === 0 ? (
        <Empty title="No version is saved yet" />
      ) : (
        <Table
          label="Saved versions"
          head={
            <>
              <th className={css.right}>Version</th>
              <th className={css.right}>Events</th>
              <th>State</th>
              <th>Saved</th>
              <th>
                <span className="dim">Restore</span>
              </th>
            </>
          }
        >
          {model.versions.map((each) => (
            <tr key={each.version}>
              <td className={css.right}>{each.version}</td>
              <td className={css.right}>{format.count(each.events)}</td>
              <td>{each.state}</td>
              <td className="num nowrap">{format.dateTime(Number(each.savedUnixMs))}</td>
              <td>
                <Button size="compact-sm" variant="default" onClick={() => setVersion(each.version)}>
                  Restore
                </Button>
              </td>
            </tr>
          ))}
        </Table>
      )}
      <Confirm
        opened={version !== null}
        title={`Restore version ${version ?? ''}`}
        act="Restore"
        busy={control.isPending}
        onClose={() => setVersion(null)}
        onConfirm={() => version !== null && control.mutate({ action: 'MODEL_RESTORE', version })}
      >
        The model becomes what it was then; what it learned since is lost.
      </Confirm>
    </Panel>
  );
}

function FeedbackList({ collection }: { collection: string }) {
  const [trail, setTrail] = useState(['0']);
  const after = trail.at(-1) ?? '0';
  const page = useQuery({
    queryKey: ['feedback', collection, after],
    queryFn: ({ signal }) => call('ListFeedback', { collection, afterNumber: after, limit: 50 }, { signal }),
    meta: { live: true },
  });
  const next = page.data?.nextAfterNumber ?? '0';
  // Servers of before do not tell it.
  const total = page.data && 'total' in page.data ? Number(page.data.total) : undefined;
  return (
    <Panel
      title="Feedback"
      flush
      side={
        <div className={css.actions}>
          {total !== undefined && <span className="dim small num">{format.countOf(total, 'record')}</span>}
          <Button size="compact-sm" variant="default" disabled={trail.length === 1} onClick={() => setTrail(trail.slice(0, -1))}>
            Older
          </Button>
          <Button size="compact-sm" variant="default" disabled={next === '0'} onClick={() => setTrail([...trail, next])}>
            Newer
          </Button>
        </div>
      }
    >
      <Loaded query={page}>
        {(data) =>
          data.records.length === 0 ? (
            <Empty title="No feedback yet">Send it with the query id of the answer it is about; Explore can do so for reranked results.</Empty>
          ) : (
            <FeedbackRows records={data.records} />
          )
        }
      </Loaded>
    </Panel>
  );
}

function FeedbackRows({ records }: { records: ListFeedbackResponse['records'] }) {
  return (
    <Table
      label="Feedback"
      head={
        <>
          <th>When</th>
          <th>Query</th>
          <th className={css.right}>Shown</th>
          <th>Clicked</th>
          <th>Graded</th>
        </>
      }
    >
      {records.map((record) => (
        <tr key={record.feedbackId}>
          <td className="num nowrap">{format.dateTime(Number(record.createdUnixMs))}</td>
          <td className="wrap-anywhere">{record.query || <span className="dim">none</span>}</td>
          <td className={css.right}>{record.resultIds.length}</td>
          <td className="wrap-anywhere">{record.feedbackItems.filter((item) => item.clicked).map((item) => item.resultId).join(', ')}</td>
          <td className="wrap-anywhere">
            {record.feedbackItems
              .filter((item) => item.relevanceScore > 0)
              .map((item) => `${item.resultId}: ${item.relevanceScore}`)
              .join(', ')}
          </td>
        </tr>
      ))}
    </Table>
  );
}
