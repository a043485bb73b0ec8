// What a search found, and how.
import { ActionIcon, Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client';
import type { SearchRequestInput, SearchResponse, SearchResult, ShardExplain } from '../../api/generated';
import { IconCheck, IconSimilar, IconUp } from '../../components/icons';
import { useToasts } from '../../components/toasts';
import { css as ui, Empty, Json, Panel, Table, Tag } from '../../components/ui';
import * as format from '../../lib/format';
import css from './explore.module.css';
import { PayloadPreview } from './payload-preview';

interface Props {
  collection: string;
  distance: string;
  request: SearchRequestInput;
  response: SearchResponse;
  tookMs: number;
  like: string | null;
  onOpen: (id: string) => void;
  onSimilar: (id: string) => void;
}

// A search may bring 16,384 results: they are drawn part by part.
const drawnAtOnce = 100;

export function SearchResults(props: Props) {
  const { response, tookMs, distance } = props;
  const [drawn, setDrawn] = useState(drawnAtOnce);
  const results = response.results;
  const scoreWords = response.reranked ? 'score, higher is better' : `${distance} distance, lower is closer`;
  return (
    <>
      <Panel
        title={format.countOf(results.length, 'result')}
        flush
        side={
          <span className="dim small num">
            {scoreWords}; {format.millis(tookMs)} as seen here
          </span>
        }
      >
        {response.partial && (
          <p className={css.warn}>Not all shards answered in time: {response.missingShards.join(', ')} are missing.</p>
        )}
        {response.rerank?.reason && (
          <p className={css.warn}>
            Ordered by {response.rerank.strategy}: {response.rerank.reason}
          </p>
        )}
        {results.length === 0 ? (
          <Empty title="Nothing was found">No point passes the filter, or all are farther than the farthest score.</Empty>
        ) : (
          <ol className={css.results}>
            {results.slice(0, drawn).map((result, at) => (
              <Result key={result.id} {...props} result={result} at={at} />
            ))}
          </ol>
        )}
        {results.length > drawn && (
          <div className={ui.panelBody}>
            <Button size="xs" variant="default" onClick={() => setDrawn(drawn + drawnAtOnce)}>
              Show more
            </Button>
          </div>
        )}
      </Panel>
      {response.explain && <Explain shards={response.explain.shards} />}
      <Panel title="Request">
        <p className={css.note}>POST /v1/collections/{encodeURIComponent(props.collection)}/points/search</p>
        <details>
          <summary style={{ cursor: 'pointer', margin: '6px 0' }}>Body</summary>
          <Json value={{ ...props.request, collection: undefined }} />
        </details>
      </Panel>
    </>
  );
}

function Result(props: Props & { result: SearchResult; at: number }) {
  const { result, at, response } = props;
  const reason = response.explain?.rerank?.find((each) => each.id === result.id);
  return (
    <li className={css.result}>
      <span className={css.rank}>{at + 1}</span>
      <div style={{ minWidth: 0 }}>
        <button type="button" className={css.idButton} onClick={() => props.onOpen(result.id)}>
          {result.id}
        </button>{' '}
        {result.id === props.like && <Tag>searched by</Tag>}
        <div className="small">
          <PayloadPreview payload={result.payload} />
        </div>
        {reason && (
          <p className={css.note}>
            by distance {reason.vectorRank}. ({format.score(reason.distance)}); {reason.explanation}
          </p>
        )}
      </div>
      <div className={css.resultSide}>
        <div>{format.score(result.score)}</div>
        <ActionIcon size="sm" variant="subtle" aria-label={`Find points like ${result.id}`} onClick={() => props.onSimilar(result.id)}>
          <IconSimilar />
        </ActionIcon>
        {response.queryId && response.reranked && <Feedback {...props} />}
      </div>
    </li>
  );
}

// Tells the server that a result was the right one: what reranking learns from.
function Feedback({ collection, request, response, result, at }: Props & { result: SearchResult; at: number }) {
  const [given, setGiven] = useState(false);
  const toasts = useToasts();
  const send = useMutation({
    mutationFn: () =>
      call('SubmitFeedback', {
        collection,
        query: request.query,
        queryId: response.queryId,
        resultIds: response.results.map((each) => each.id),
        feedbackItems: [{ resultId: result.id, clicked: true, position: at + 1 }],
      }),
    onSuccess: () => {
      setGiven(true);
      toasts.say('Your feedback was stored');
    },
    onError: (error) => toasts.fail('The feedback was not stored', error),
  });
  return (
    <ActionIcon
      size="sm"
      variant="subtle"
      aria-label={`${result.id} was the right one`}
      title="This was the right one"
      disabled={given}
      loading={send.isPending}
      onClick={() => send.mutate()}
    >
      {given ? <IconCheck /> : <IconUp />}
    </ActionIcon>
  );
}

const columns: { label: string; key: keyof ShardExplain }[] = [
  { label: 'Points', key: 'points' },
  { label: 'Matches, estimated', key: 'matchesEstimated' },
  { label: 'Matches', key: 'matches' },
  { label: 'Hops', key: 'hops' },
  { label: 'Distances', key: 'distances' },
  { label: 'Tail scanned', key: 'tailScanned' },
  { label: 'Tombstones', key: 'tombstones' },
  { label: 'Re-scored', key: 'reranked' },
  { label: 'Changed by it', key: 'rerankChanges' },
];

function Explain({ shards }: { shards: ShardExplain[] }) {
  const [raw, setRaw] = useState(false);
  const slowest = Math.max(...shards.map((shard) => Number(shard.timeUs)));
  return (
    <Panel
      title="How it was found"
      flush
      side={
        <Button size="compact-xs" variant="subtle" onClick={() => setRaw(!raw)}>
          {raw ? 'As a table' : 'As JSON'}
        </Button>
      }
    >
      {raw ? (
        <div className={ui.panelBody}>
          <Json value={shards} />
        </div>
      ) : (
        <Table
          label="Explanation per shard"
          head={
            <>
              <th className={ui.right}>Shard</th>
              <th>Plan</th>
              <th className={ui.right}>Time</th>
              {columns.map((column) => (
                <th key={column.key} className={ui.right}>
                  {column.label}
                </th>
              ))}
            </>
          }
        >
          {shards.map((shard) => (
            <tr key={shard.shardId}>
              <td className={ui.right}>{shard.shardId}</td>
              <td style={{ minWidth: 180 }}>
                {shard.plan.replace(/_/g, ' ')}
                <div className="dim small">{shard.reason}</div>
              </td>
              <td className={ui.right}>
                {format.millis(Number(shard.timeUs) / 1000)}
                {shards.length > 1 && Number(shard.timeUs) === slowest && <div className="dim small">slowest</div>}
              </td>
              {columns.map((column) => (
                <td key={column.key} className={ui.right}>
                  {format.count(shard[column.key])}
                </td>
              ))}
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}
