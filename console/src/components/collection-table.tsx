// Collections by name; each row asks for its own figures.
import { Anchor, Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { ApiError, troubleOf } from '../api/errors';
import type { GetCollectionStatusResponse } from '../api/generated';
import { collectionStatus } from '../api/queries';
import * as format from '../lib/format';
import { css, Table, Tag } from './ui';

// The server's word for a name that is not enough.
const failedPrecondition = 9;

export const collectionPath = (name: string) => `/collections/${encodeURIComponent(name)}`;
export const explorePath = (name: string) => `/explore?collection=${encodeURIComponent(name)}`;

export function CollectionTable({ names }: { names: string[] }) {
  return (
    <Table
      label="Collections"
      head={
        <>
          <th>Name</th>
          <th className={css.right}>Points</th>
          <th className={css.right}>Dimension</th>
          <th>Distance</th>
          <th className={css.right}>Shards</th>
          <th className={css.right}>Size</th>
          <th>State</th>
        </>
      }
    >
      {names.map((name) => (
        <Row key={name} name={name} />
      ))}
    </Table>
  );
}

function NoStatus({ error }: { error: Error }) {
  if (error instanceof ApiError && error.code === failedPrecondition) {
    return (
      <Anchor component={Link} to="/placement" size="sm">
        several users have one of this name: choose in Placement
      </Anchor>
    );
  }
  return <span className="dim">{troubleOf(error) === 'not-found' ? 'was deleted' : error.message}</span>;
}

function Row({ name }: { name: string }) {
  const status = useQuery(collectionStatus(name));
  const data = status.data;
  return (
    <tr>
      <td className="wrap-anywhere" style={{ minWidth: 140 }}>
        <Anchor component={Link} to={collectionPath(name)} size="sm" fw={550}>
          {name}
        </Anchor>
      </td>
      {data ? (
        <>
          <td className={css.right}>{format.count(data.pointCount)}</td>
          <td className={css.right}>{format.count(data.dimension)}</td>
          <td>{data.distance}</td>
          <td className={css.right}>{data.shards.length}</td>
          <td className={css.right}>{format.bytes(data.sizeBytes)}</td>
          <td>
            <CollectionState status={data} />
          </td>
        </>
      ) : (
        <td colSpan={6}>
          {status.error ? (
            <NoStatus error={status.error} />
          ) : (
            <Skeleton height={16} width="60%" />
          )}
        </td>
      )}
    </tr>
  );
}

export function CollectionState({ status }: { status: GetCollectionStatusResponse }) {
  const down = status.shards.filter((shard) => !shard.ready).length;
  if (down > 0) {
    return (
      <Tag tone={down === status.shards.length ? 'bad' : 'warn'} dot>
        {down} of {status.shards.length} shards not ready
      </Tag>
    );
  }
  const waiting = Number(status.pointCount) - Number(status.indexedCount);
  if (waiting > 0) return <Tag tone="accent">Indexing {format.shortCount(waiting)}</Tag>;
  return (
    <Tag tone="good" dot>
      Ready
    </Tag>
  );
}
