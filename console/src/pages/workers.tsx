// The workers: what each holds, and taking one out of service.
import { Anchor, Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { Link, useParams } from 'react-router';
import { call } from '../api/client';
import type { Worker, WorkerStats } from '../api/generated';
import { workerList } from '../api/queries';
import { collectionPath } from '../components/collection-table';
import { Confirm, ConfirmByName } from '../components/dialogs';
import { useToasts } from '../components/toasts';
import { Bar, css, Empty, Facts, Loaded, Page, Panel, Table, Tag, type Fact } from '../components/ui';
import * as format from '../lib/format';
import { healthTone, healthWords } from '../lib/words';

export default function Workers() {
  const workers = useQuery(workerList);
  const { id } = useParams();
  const chosen = workers.data?.workers.find((worker) => worker.worker_id === id);
  return (
    <Page
      title={id ? `Worker ${id}` : 'Workers'}
      lead={
        id && (
          <Anchor component={Link} to="/workers" size="sm">
            All workers
          </Anchor>
        )
      }
    >
      {!workers.data ? (
        <Panel flush>
          <Loaded query={workers} rows={5}>
            {() => null}
          </Loaded>
        </Panel>
      ) : !id ? (
        <Cards workers={workers.data.workers} nowMs={workers.dataUpdatedAt} />
      ) : chosen ? (
        <Details worker={chosen} alone={isAlone(chosen, workers.data.workers)} nowMs={workers.dataUpdatedAt} />
      ) : (
        <Panel flush>
          <Empty title={`There is no worker ${id}`}>It was removed, or its number is another.</Empty>
        </Panel>
      )}
    </Page>
  );
}

function Cards({ workers, nowMs }: { workers: Worker[]; nowMs: number }) {
  if (workers.length === 0) {
    return (
      <Panel flush>
        <Empty title="No worker has registered">Start one with vectron worker and the address of placement.</Empty>
      </Panel>
    );
  }
  return (
    <div className={css.cards}>
      {workers.map((worker) => (
        <Panel key={worker.worker_id} title={`Worker ${worker.worker_id}`} side={<WorkerState worker={worker} />}>
          <Usage worker={worker} nowMs={nowMs} />
          <Actions worker={worker} alone={isAlone(worker, workers)} withDetails />
        </Panel>
      ))}
    </div>
  );
}

function WorkerState({ worker }: { worker: Worker }) {
  if (!worker.healthy && worker.state !== 'DEAD') return <Tag tone="bad" dot>Does not answer</Tag>;
  return (
    <Tag tone={healthTone(worker.state)} dot>
      {healthWords(worker.state)}
    </Tag>
  );
}

// No other worker takes shards.
const isAlone = (worker: Worker, workers: Worker[]) =>
  workers.every((each) => each.worker_id === worker.worker_id || each.state === 'DEAD' || each.state === 'DRAINING');

const shardsOf = (worker: Worker) => worker.stats?.shard_info.length ?? 0;

// Only what was measured: a total of 0 means that it is not known.
function Usage({ worker, nowMs }: { worker: Worker; nowMs: number }) {
  const stats = worker.stats;
  const facts: Fact[] = [
    { label: 'Address', value: <span className="mono">{worker.grpc_address}</span> },
    { label: 'Last heartbeat', value: format.ago(worker.last_heartbeat, nowMs) },
  ];
  if (stats) {
    facts.push(
      { label: 'Vectors', value: format.count(stats.vector_count) },
      { label: 'Shards', value: shardsOf(worker) },
      { label: 'Processors', value: `${format.significant(stats.cpu_usage)} %` },
      { label: 'Requests', value: `${format.significant(stats.requests_per_second)} /s` },
    );
  }
  return (
    <>
      <Facts facts={facts} />
      {stats && <Meters stats={stats} />}
    </>
  );
}

function Meters({ stats }: { stats: WorkerStats }) {
  const total = stats.disk_total_bytes;
  return (
    <div style={{ display: 'grid', gap: 10, margin: '14px 0' }}>
      {stats.memory_total_bytes > 0 && (
        <div>
          <div className="small">
            <span className="dim">Memory</span> {format.bytes(stats.memory_bytes)} of {format.bytes(stats.memory_total_bytes)} available to it
          </div>
          <Bar fraction={stats.memory_bytes / stats.memory_total_bytes} label="Memory in use" />
        </div>
      )}
      {total > 0 && (
        <div>
          <div className="small">
            <span className="dim">Disk</span> {format.bytes(total - stats.disk_free_bytes)} of {format.bytes(total)} used,{' '}
            {format.bytes(stats.disk_bytes)} by shards
          </div>
          <Bar fraction={1 - stats.disk_free_bytes / total} label="Disk in use" />
        </div>
      )}
    </div>
  );
}

function Details({ worker, alone, nowMs }: { worker: Worker; alone: boolean; nowMs: number }) {
  const shards = worker.stats?.shard_info ?? [];
  const facts: Fact[] = [
    { label: 'Raft address', value: <span className="mono">{worker.raft_address || '–'}</span> },
    ...Object.entries(worker.metadata).map(([label, value]) => ({ label, value })),
  ];
  if (worker.stats) facts.push({ label: 'Registered for', value: format.duration(worker.stats.uptime) });
  return (
    <>
      <Panel title="State" side={<WorkerState worker={worker} />}>
        <Usage worker={worker} nowMs={nowMs} />
        <Facts facts={facts} />
        <div style={{ height: 14 }} />
        <Actions worker={worker} alone={alone} />
      </Panel>
      <Panel title="Shards" flush>
        {shards.length === 0 ? (
          <Empty title="This worker holds no shards" />
        ) : (
          <Table
            label="Shards"
            head={
              <>
                <th>Collection</th>
                <th className={css.right}>Shard</th>
                <th>Role</th>
                <th className={css.right}>Replicas</th>
                <th className={css.right}>Vectors</th>
                <th className={css.right}>Indexed</th>
                <th className={css.right}>Disk</th>
                <th className={css.right}>Memory</th>
                <th>State</th>
              </>
            }
          >
            {shards.map((shard) => (
              <tr key={`${shard.collection} ${shard.group_id}`}>
                <td className="wrap-anywhere">
                  <Anchor component={Link} to={collectionPath(shard.collection)} size="sm">
                    {shard.collection}
                  </Anchor>
                </td>
                <td className={css.right}>{shard.shard_id}</td>
                <td>{shard.is_leader ? 'leader' : 'follower'}</td>
                <td className={css.right}>{shard.replica_count}</td>
                <td className={css.right}>{format.count(shard.vector_count)}</td>
                <td className={css.right}>{format.count(shard.indexed_count)}</td>
                <td className={css.right}>{format.bytes(shard.size_bytes)}</td>
                <td className={css.right}>{format.bytes(shard.memory_bytes)}</td>
                <td>
                  <Tag tone={healthTone(shard.status)}>{healthWords(shard.status)}</Tag>
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Panel>
    </>
  );
}

function Actions({ worker, alone, withDetails }: { worker: Worker; alone: boolean; withDetails?: boolean }) {
  const id = worker.worker_id;
  const reasonId = useId();
  const draining = worker.state === 'DRAINING';
  const [asking, setAsking] = useState<'drain' | 'remove' | null>(null);
  const client = useQueryClient();
  const toasts = useToasts();
  const refresh = () => client.invalidateQueries({ queryKey: ['workers'] });
  const drain = useMutation({
    mutationFn: (cancel: boolean) => call('DrainWorker', { workerId: id, cancel }),
    onSuccess: async (answer, cancel) => {
      toasts.say(cancel ? `Worker ${id} takes shards again` : `Worker ${id} is being drained: ${format.countOf(answer.shardsLeft, 'shard')} to move`);
      await refresh();
    },
    onError: (error) => toasts.fail(`Worker ${id} was left as it is`, error),
    onSettled: () => setAsking(null),
  });
  const remove = useMutation({
    mutationFn: () => call('RemoveWorker', { workerId: id }),
    onSuccess: async () => {
      toasts.say(`Worker ${id} was removed`);
      await refresh();
    },
    onError: (error) => toasts.fail(`Worker ${id} was not removed`, error),
    onSettled: () => setAsking(null),
  });
  return (
    <>
      {draining && <DrainProgress worker={worker} />}
      <div className={css.actions}>
        {withDetails && (
          <Button component={Link} to={`/workers/${id}`} size="xs" variant="default">
            Details
          </Button>
        )}
        {draining ? (
          <Button size="xs" variant="default" loading={drain.isPending} onClick={() => drain.mutate(true)}>
            Stop draining
          </Button>
        ) : (
          <Button size="xs" variant="default" disabled={alone} aria-describedby={alone ? reasonId : undefined} onClick={() => setAsking('drain')}>
            Drain
          </Button>
        )}
        {(worker.state === 'DEAD' || (draining && shardsOf(worker) === 0)) && (
          <Button size="xs" variant="default" onClick={() => setAsking('remove')}>
            Remove
          </Button>
        )}
      </div>
      {alone && !draining && (
        <div id={reasonId} className="dim small" style={{ marginTop: 6 }}>
          It cannot be drained: no other worker could take its shards.
        </div>
      )}
      <Questions
        worker={worker}
        asking={asking}
        busy={drain.isPending || remove.isPending}
        onClose={() => setAsking(null)}
        onDrain={() => drain.mutate(false)}
        onRemove={() => remove.mutate()}
      />
    </>
  );
}

// What is asked before a worker is drained or removed.
function Questions(props: {
  worker: Worker;
  asking: 'drain' | 'remove' | null;
  busy: boolean;
  onClose: () => void;
  onDrain: () => void;
  onRemove: () => void;
}) {
  const { worker, asking, busy, onClose } = props;
  const id = worker.worker_id;
  return (
    <>
      <Confirm opened={asking === 'drain'} title={`Drain worker ${id}`} act="Drain" busy={busy} onClose={onClose} onConfirm={props.onDrain}>
        It holds {format.countOf(shardsOf(worker), 'shard')}: all move to other workers; then it can be stopped or removed. It goes on answering
        meanwhile, and draining can be stopped at any time.
      </Confirm>
      <ConfirmByName
        opened={asking === 'remove'}
        title={`Remove worker ${id}`}
        name={id}
        act="Remove"
        busy={busy}
        onClose={onClose}
        onConfirm={props.onRemove}
      >
        The cluster forgets it. To take part again it has to register as a new worker.
      </ConfirmByName>
    </>
  );
}

// How far a drain is, from the most shards seen since this page watches.
function DrainProgress({ worker }: { worker: Worker }) {
  const left = shardsOf(worker);
  const [most, setMost] = useState(left);
  if (left > most) setMost(left);
  return (
    <div style={{ margin: '14px 0' }} role="status">
      <div className="small">{left === 0 ? 'Drained: it holds no shards.' : `Draining: ${format.countOf(left, 'shard')} left.`}</div>
      <Bar fraction={most === 0 ? 1 : (most - left) / most} label="Shards moved away" of="progress" />
    </div>
  );
}
