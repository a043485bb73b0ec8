// What the pages read. Queries marked live are asked again at every tick of the live updates, nowhere else.
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { call } from './client';

const live = { live: true } as const;

export const collectionNames = queryOptions({
  queryKey: ['collections'],
  queryFn: ({ signal }) => call('ListCollections', {}, { signal }),
  meta: live,
});

export const collectionStatus = (name: string) =>
  queryOptions({
    queryKey: ['collection', name],
    queryFn: ({ signal }) => call('GetCollectionStatus', { name }, { signal }),
    enabled: name !== '',
    meta: live,
  });

export const systemHealth = queryOptions({
  queryKey: ['health'],
  queryFn: ({ signal }) => call('GetSystemHealth', {}, { signal }),
  meta: live,
});

export const gatewayStats = queryOptions({
  queryKey: ['gateway'],
  queryFn: ({ signal }) => call('GetGatewayStats', {}, { signal }),
  meta: live,
});

export const workerList = queryOptions({
  queryKey: ['workers'],
  queryFn: ({ signal }) => call('ListWorkers', {}, { signal }),
  meta: live,
});

export const allCollections = queryOptions({
  queryKey: ['all-collections'],
  queryFn: ({ signal }) => call('AdminListCollections', {}, { signal }),
  meta: live,
});

export type AlertState = 'all' | 'active' | 'resolved';
export const alertList = (state: AlertState, limit: number) =>
  queryOptions({
    queryKey: ['alerts', state, limit],
    queryFn: ({ signal }) => call('ListAlerts', { status: state === 'all' ? '' : state, limit }, { signal }),
    placeholderData: keepPreviousData,
    meta: live,
  });

export const timeSeries = (windowSeconds: number) =>
  queryOptions({
    queryKey: ['series', windowSeconds],
    queryFn: ({ signal }) => call('GetTimeSeries', { windowSeconds, maxPoints: 360 }, { signal }),
    placeholderData: keepPreviousData,
    meta: live,
  });

export const slowQueries = (collection: string) =>
  queryOptions({
    queryKey: ['slow', collection],
    queryFn: ({ signal }) => call('ListSlowQueries', { collection, limit: 100 }, { signal }),
    meta: live,
  });

export const ranking = (collection: string) =>
  queryOptions({
    queryKey: ['ranking', collection],
    queryFn: ({ signal }) => call('GetRanking', { collection }, { signal }),
    enabled: collection !== '',
    meta: live,
  });

export const apiKeys = queryOptions({
  queryKey: ['keys'],
  queryFn: ({ signal }) => call('ListAPIKeys', {}, { signal }),
});
