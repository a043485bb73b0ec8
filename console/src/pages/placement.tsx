// Where the shards of all collections are, and moving them.
import { Anchor, Button, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link } from 'react-router';
import { call, ownedBy } from '../api/client';
import type { Collection, PlannedMove } from '../api/generated';
import { allCollections } from '../api/queries';
import { useSession } from '../api/session-context';
import { collectionPath } from '../components/collection-table';
import { Pages } from '../components/pages';
import { useToasts } from '../components/toasts';
import { css, Empty, Failure, Loaded, Page, Panel, Table, Tag } from '../components/ui';
import * as format from '../lib/format';
import { healthTone, healthWords, workerName } from '../lib/words';

export default function Placement() {
  const collections = useQuery(allCollections);
  return (
    <Page title="Placement" lead="The collections of all owners, their shards and where they live.">
      <Rebalance />
      {collections.data && <MovesInFlight collections={collections.data.collections} />}
      <Panel title="Collections" flush>
        <Loaded query={collections} rows={5}>
          {(data) =>
            data.collections.length === 0 ? <Empty title="There are no collections" /> : <Listing collections={data.collections} />
          }
        </Loaded>
      </Panel>
    </Page>
  );
}

function Rebalance() {
  const client = useQueryClient();
  const toasts = useToasts();
  const plan = useMutation({ mutationFn: () => call('Rebalance', { dryRun: true }) });
  const start = useMutation({
    mutationFn: () => call('Rebalance', { dryRun: false }),
    onSuccess: async (answer) => {
      toasts.say(answer.started ? `Begun: ${format.countOf(answer.moves.length, 'move')}` : 'There was nothing to move');
      plan.reset();
      await client.invalidateQueries({ queryKey: ['all-collections'] });
    },
    onError: (error) => toasts.fail('Nothing was moved', error),
  });
  const moves = plan.data?.moves;
  return (
    <Panel
      title="Rebalance"
      side={
        <div className={css.actions}>
          <Button size="xs" variant="default" loading={plan.isPending} onClick={() => plan.mutate()}>
            {moves ? 'Plan again' : 'Plan (moves nothing)'}
          </Button>
          {moves && moves.length > 0 && (
            <Button size="xs" loading={start.isPending} onClick={() => start.mutate()}>
              Start {format.countOf(moves.length, 'move')}
            </Button>
          )}
        </div>
      }
    >
      {plan.error ? (
        <Failure error={plan.error} />
      ) : !moves ? (
        <p style={{ margin: 0 }} className="dim">
          Shows first which shards would be moved to spread them evenly, and why. Nothing moves before you start it.
        </p>
      ) : moves.length === 0 ? (
        <p style={{ margin: 0 }}>The shards are spread evenly: there is nothing to move.</p>
      ) : (
        <Moves moves={moves} />
      )}
    </Panel>
  );
}

function Moves({ moves }: { moves: PlannedMove[] }) {
  const place = (id: string, none: string) => (id === '' || id === '0' ? <span className="dim">{none}</span> : workerName(id));
  return (
    <Table
      label="Planned moves"
      head={
        <>
          <th>Collection</th>
          <th className={css.right}>Shard</th>
          <th>From</th>
          <th>To</th>
          <th className={css.right}>Size</th>
          <th>Why</th>
        </>
      }
    >
      {moves.map((move, at) => (
        <tr key={at}>
          <td className="wrap-anywhere">{move.collection}</td>
          <td className={css.right}>{move.shardId}</td>
          <td>{place(move.fromWorkerId, 'a copy is added')}</td>
          <td>{place(move.toWorkerId, 'a copy is taken away')}</td>
          <td className={css.right}>{format.bytes(move.sizeBytes)}</td>
          <td>{move.reason}</td>
        </tr>
      ))}
    </Table>
  );
}

// What placement has begun and not ended: by a rebalance, a drain, or to repair what a lost worker held.
function MovesInFlight({ collections }: { collections: Collection[] }) {
  const moves = collections.flatMap((each) => each.moves.map((move) => ({ ...move, collection: each.name })));
  if (moves.length === 0) return null;
  return (
    <Panel title={`Moves in flight: ${format.count(moves.length)}`} flush>
      <Table
        label="Moves in flight"
        head={
          <>
            <th>Collection</th>
            <th className={css.right}>Shard</th>
            <th>From</th>
            <th>To</th>
            <th>Stage</th>
            <th>Why</th>
            <th>Since</th>
          </>
        }
      >
        {moves.slice(0, mostMoves).map((move) => (
          <tr key={`${move.collection} ${move.shard_id} ${move.from_worker} ${move.to_worker}`}>
            <td className="wrap-anywhere">{move.collection}</td>
            <td className={css.right}>{move.shard_id}</td>
            <td>{move.from_worker ? workerName(move.from_worker) : <span className="dim">a copy is added</span>}</td>
            <td>{move.to_worker ? workerName(move.to_worker) : <span className="dim">a copy is taken away</span>}</td>
            <td>
              <Tag tone="accent">{move.stage}</Tag>
            </td>
            <td>{move.reason}</td>
            <td className="num nowrap">{move.since > 0 ? format.dateTime(move.since) : '–'}</td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

const mostMoves = 50;
const pageSize = 25;

function Listing({ collections }: { collections: Collection[] }) {
  const [search, setSearch] = useState('');
  const [page, setPage] = useState(0);
  const [open, setOpen] = useState<string | null>(null);
  const found = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    return collections
      .filter((each) => `${each.name} ${each.owner}`.toLowerCase().includes(wanted))
      .sort((a, b) => rank(a) - rank(b) || b.size_bytes - a.size_bytes);
  }, [collections, search]);
  const pages = Math.max(1, Math.ceil(found.length / pageSize));
  const at = Math.min(page, pages - 1);
  const owned = collections.some((each) => each.owner !== '');
  return (
    <>
      <div className={css.panelHead}>
        <TextInput
          size="xs"
          aria-label="Find a collection"
          placeholder="Find by name or owner"
          value={search}
          onChange={(event) => {
            setSearch(event.currentTarget.value);
            setPage(0);
          }}
        />
        <span className="dim small num">{format.countOf(found.length, 'collection')}; those in trouble come first</span>
      </div>
      <Table
        label="Collections"
        head={
          <>
            <th>{owned ? 'Collection and owner' : 'Collection'}</th>
            <th>State</th>
            <th className={css.right}>Vectors</th>
            <th className={css.right}>Indexed</th>
            <th className={css.right}>Disk</th>
            <th className={css.right}>Memory</th>
            <th className={css.right}>Replicas</th>
            <th>Created</th>
            <th>
              <span className="dim">Shards</span>
            </th>
          </>
        }
      >
        {found.slice(at * pageSize, (at + 1) * pageSize).map((each) => {
          const key = `${each.owner}/${each.name}`;
          return <Rows key={key} collection={each} owned={owned} open={open === key} onToggle={() => setOpen(open === key ? null : key)} />;
        })}
      </Table>
      {pages > 1 && <Pages page={at} pages={pages} onPage={setPage} />}
    </>
  );
}

const rank = (collection: Collection) => ({ unavailable: 0, degraded: 1 })[collection.status] ?? 2;

function Rows(props: { collection: Collection; owned: boolean; open: boolean; onToggle: () => void }) {
  const { collection, owned, open } = props;
  const session = useSession();
  const own = session.mode === 'user' && session.profile.id === collection.owner;
  return (
    <>
      <tr>
        <td className="wrap-anywhere" style={{ minWidth: 140 }}>
          <Anchor component={Link} to={collectionPath(own ? collection.name : ownedBy(collection.name, collection.owner))} size="sm" fw={550}>
            {collection.name}
          </Anchor>
          {owned && <div className="dim small mono">{collection.owner}</div>}
        </td>
        <td>
          <Tag tone={healthTone(collection.status)} dot>
            {healthWords(collection.status)}
          </Tag>
        </td>
        <td className={css.right}>{format.count(collection.vector_count)}</td>
        <td className={css.right}>{format.count(collection.indexed_count)}</td>
        <td className={css.right}>{format.bytes(collection.size_bytes)}</td>
        <td className={css.right}>{format.bytes(collection.memory_bytes)}</td>
        <td className={css.right}>{collection.replication_factor}</td>
        <td className="num nowrap" title={collection.created_at > 0 ? format.dateTime(collection.created_at) : undefined}>
          {collection.created_at > 0 ? format.date(collection.created_at) : '–'}
        </td>
        <td>
          <Button size="compact-xs" variant="default" aria-expanded={open} onClick={props.onToggle} aria-label={`${collection.shard_count} shards of ${collection.name}`}>
            {collection.shard_count} {open ? '▴' : '▾'}
          </Button>
        </td>
      </tr>
      {open && (
        <tr>
          <td colSpan={9} style={{ padding: 0 }}>
            <ShardRows collection={collection} />
          </td>
        </tr>
      )}
    </>
  );
}

function ShardRows({ collection }: { collection: Collection }) {
  return (
    <table className={css.table}>
      <thead>
        <tr>
          <th className={css.right}>Shard</th>
          <th>State</th>
          <th>Leader</th>
          <th>Replicas</th>
          <th className={css.right}>Vectors</th>
          <th className={css.right}>Disk</th>
          <th>Measured</th>
        </tr>
      </thead>
      <tbody>
        {collection.shards.map((shard) => (
          <tr key={shard.shard_id}>
            <td className={css.right}>{shard.shard_id}</td>
            <td>
              <Tag tone={healthTone(shard.status)}>{healthWords(shard.status)}</Tag>
            </td>
            <td>{shard.leader_id ? workerName(shard.leader_id) : <span className="dim">none known</span>}</td>
            <td>{shard.worker_ids.map(workerName).join(', ')}</td>
            <td className={css.right}>{format.count(shard.vector_count)}</td>
            <td className={css.right}>{format.bytes(shard.size_bytes)}</td>
            <td className="num nowrap">{shard.last_updated > 0 ? format.dateTime(shard.last_updated) : '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
