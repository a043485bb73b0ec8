// One collection: what it is, where its shards are, and its end.
import { Anchor, Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { call } from '../api/client';
import type { GetCollectionStatusResponse, ShardStatus } from '../api/generated';
import { collectionStatus, workerList } from '../api/queries';
import { useIsAdmin } from '../api/session-context';
import { CollectionState, explorePath } from '../components/collection-table';
import { ConfirmByName } from '../components/dialogs';
import { IconTrash } from '../components/icons';
import { useToasts } from '../components/toasts';
import { Bar, css, Facts, Loaded, Page, Panel, Table, Tag, Tiles, type Fact } from '../components/ui';
import * as format from '../lib/format';
import { workerName } from '../lib/words';

export default function Collection() {
  const { name = '' } = useParams();
  const status = useQuery(collectionStatus(name));
  const [deleting, setDeleting] = useState(false);
  return (
    <Page
      title={name}
      lead={
        <Anchor component={Link} to="/collections" size="sm">
          All collections
        </Anchor>
      }
      actions={
        status.data && (
          <>
            <Button component={Link} to={explorePath(name)}>
              Explore points
            </Button>
            <Button
              variant="default"
              leftSection={<IconTrash size={16} />}
              onClick={() => setDeleting(true)}
            >
              Delete
            </Button>
          </>
        )
      }
    >
      {status.data ? (
        <Details status={status.data} />
      ) : (
        <Panel flush>
          <Loaded query={status} rows={6}>
            {() => null}
          </Loaded>
        </Panel>
      )}
      <DeleteDialog name={name} points={status.data?.pointCount} opened={deleting} onClose={() => setDeleting(false)} />
    </Page>
  );
}

function Details({ status }: { status: GetCollectionStatusResponse }) {
  const points = Number(status.pointCount);
  const indexed = Number(status.indexedCount);
  const lost = useLostWorkers();
  const degraded = status.shards.every((shard) => shard.ready) && status.shards.some((shard) => isUnderReplicated(shard, status, lost));
  return (
    <>
      <Tiles
        facts={[
          { label: 'State', value: degraded ? <Tag tone="warn" dot>Degraded</Tag> : <CollectionState status={status} /> },
          { label: 'Points', value: format.count(points) },
          { label: 'Size on disk', value: format.bytes(status.sizeBytes) },
          { label: 'Shards', value: status.shards.length },
        ]}
      />
      <Panel title="Index">
        <p style={{ margin: '0 0 8px' }}>
          {points === 0
            ? 'There are no points yet.'
            : indexed >= points
              ? 'All points are indexed.'
              : `${format.count(indexed)} of ${format.count(points)} points are indexed; the others are searched by comparing each.`}
        </p>
        {points > 0 && <Bar fraction={indexed / points} label="Points indexed" of="progress" />}
      </Panel>
      <Options status={status} />
      <Shards status={status} lost={lost} />
    </>
  );
}

function Options({ status }: { status: GetCollectionStatusResponse }) {
  const options = status.options;
  const facts: Fact[] = [
    { label: 'Dimension', value: format.count(status.dimension) },
    { label: 'Distance', value: status.distance },
  ];
  if (options) {
    facts.push({ label: 'Replicas of each shard', value: options.replicationFactor });
    if (options.hnsw) {
      facts.push({ label: 'HNSW M', value: options.hnsw.m });
      facts.push({ label: 'Build breadth (ef)', value: options.hnsw.efConstruct });
      facts.push({ label: 'Search breadth (ef)', value: options.hnsw.efSearch || 'max(64, 3 k)' });
    }
    facts.push({ label: 'Vectors on disk', value: options.storage === 'VECTOR_STORAGE_F16' ? '16-bit floats' : '32-bit floats' });
    facts.push({ label: 'Full precision', value: options.vectorsInMemory ? 'in memory' : 'mapped from disk' });
    facts.push({ label: 'Default consistency', value: options.defaultConsistency.toLowerCase() });
    if (options.rerank?.strategy) facts.push({ label: 'Reranking', value: options.rerank.strategy });
    if (options.rerank?.budgetMs) facts.push({ label: 'Reranking budget', value: format.millis(options.rerank.budgetMs) });
    if (options.rerank?.candidates) facts.push({ label: 'Reranking candidates', value: format.count(options.rerank.candidates) });
    if (options.rerank?.explore === false) facts.push({ label: 'Neighbours swapped to learn', value: 'never' });
  }
  const indexes = options?.payloadIndexes ?? [];
  return (
    <Panel title="Options">
      <Facts facts={facts} />
      <h3 className={css.panelTitle} style={{ margin: '18px 0 6px' }}>
        Payload indexes
      </h3>
      {indexes.length === 0 ? (
        <span className="dim">None: filters read the payloads.</span>
      ) : (
        <div className={css.actions}>
          {indexes.map((index) => (
            <Tag key={index.field}>
              <span className="mono">{index.field}</span> {index.type.toLowerCase()}
            </Tag>
          ))}
        </div>
      )}
    </Panel>
  );
}

// The ids of workers that do not answer; none for those who may not see the workers.
function useLostWorkers(): Set<string> {
  const isAdmin = useIsAdmin();
  const workers = useQuery({ ...workerList, enabled: isAdmin });
  return useMemo(() => {
    const lost = (workers.data?.workers ?? []).filter((worker) => !worker.healthy || worker.state === 'DEAD');
    return new Set(lost.map((worker) => worker.worker_id));
  }, [workers.data]);
}

// It has fewer replicas that answer than the collection wants.
function isUnderReplicated(shard: ShardStatus, status: GetCollectionStatusResponse, lost: Set<string>): boolean {
  const answering = shard.replicas.filter((replica) => !lost.has(replica)).length;
  return answering < Math.max(1, status.options?.replicationFactor ?? shard.replicas.length);
}

function ShardState({ shard, under }: { shard: ShardStatus; under: boolean }) {
  const [tone, words] = !shard.ready ? (['bad', 'Not ready'] as const) : under ? (['warn', 'Under replicated'] as const) : (['good', 'Ready'] as const);
  return (
    <Tag tone={tone} dot>
      {words}
    </Tag>
  );
}

function Shards({ status, lost }: { status: GetCollectionStatusResponse; lost: Set<string> }) {
  return (
    <Panel title="Shards" flush>
      <Table
        label="Shards"
        head={
          <>
            <th className={css.right}>Shard</th>
            <th>State</th>
            <th>Leader</th>
            <th>Replicas</th>
          </>
        }
      >
        {status.shards.map((shard) => (
          <tr key={shard.shardId}>
            <td className={css.right}>{shard.shardId}</td>
            <td>
              <ShardState shard={shard} under={isUnderReplicated(shard, status, lost)} />
            </td>
            <td>{shard.leaderId === '0' ? <span className="dim">none known</span> : workerName(shard.leaderId)}</td>
            <td>
              <div className={css.actions}>
                {shard.replicas.map((replica) => (
                  <span key={replica} className="nowrap">
                    {workerName(replica)} {lost.has(replica) && <Tag tone="bad">does not answer</Tag>}
                  </span>
                ))}
              </div>
            </td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

function DeleteDialog(props: { name: string; points?: string; opened: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const toasts = useToasts();
  const remove = useMutation({
    mutationFn: () => call('DeleteCollection', { name: props.name }),
    onSuccess: async () => {
      toasts.say(`Collection ${props.name} was deleted`);
      void navigate('/collections');
      await client.invalidateQueries({ queryKey: ['collections'] });
    },
    onError: (error) => toasts.fail('The collection was not deleted', error),
  });
  return (
    <ConfirmByName
      opened={props.opened}
      title="Delete collection"
      name={props.name}
      act="Delete for good"
      busy={remove.isPending}
      onClose={props.onClose}
      onConfirm={() => remove.mutate()}
    >
      <strong>{props.name}</strong>
      {props.points ? ` and its ${format.countOf(props.points, 'point')}` : ''} will be gone. This cannot be undone.
    </ConfirmByName>
  );
}
