// What the system holds and how it does, now and over time.
import { Anchor, Button, SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link } from 'react-router';
import type { SeriesPoint } from '../api/generated';
import { collectionNames, gatewayStats, systemHealth, timeSeries } from '../api/queries';
import { useIsAdmin, useSession } from '../api/session-context';
import { CollectionTable } from '../components/collection-table';
import { TimeChart, type Line } from '../components/time-chart';
import { css, Empty, Failure, Page, Panel, Tag, Tiles, TilesLoading, type Fact } from '../components/ui';
import * as format from '../lib/format';
import { spanOf } from '../lib/span';
import { healthTone, healthWords } from '../lib/words';

const windows = [
  { value: '900', label: '15 min' },
  { value: '3600', label: '1 h' },
  { value: '21600', label: '6 h' },
  { value: '86400', label: '24 h' },
  { value: '604800', label: '7 d' },
];

export default function Overview() {
  const isAdmin = useIsAdmin();
  return (
    <Page
      title="Overview"
      actions={
        <Button component={Link} to="/explore">
          Explore points
        </Button>
      }
    >
      <Figures isAdmin={isAdmin} />
      {isAdmin && <Charts />}
      <YourCollections />
    </Page>
  );
}

function Figures({ isAdmin }: { isAdmin: boolean }) {
  const health = useQuery(systemHealth);
  const stats = useQuery({ ...gatewayStats, enabled: isAdmin });
  const names = useQuery(collectionNames);
  const session = useSession();
  const ofAll = session.mode === 'user' ? 'of all users' : undefined;
  const facts: Fact[] = [];
  if (health.data) {
    const status = health.data.overall_status;
    facts.push({
      label: 'State',
      value: <Tag tone={healthTone(status)}>{healthWords(status)}</Tag>,
      note: isAdmin ? <Anchor component={Link} to="/health" size="xs">Details</Anchor> : undefined,
    });
  }
  const metrics = health.data?.metrics;
  if (metrics) {
    facts.push({ label: 'Vectors', value: format.shortCount(metrics.total_vectors), note: ofAll });
    facts.push({ label: 'Collections', value: format.count(metrics.total_collections), note: ofAll });
    facts.push({ label: 'Workers', value: format.count(metrics.active_workers), note: 'answering' });
  } else if (names.data) {
    facts.push({ label: 'Collections', value: format.count(names.data.collections.length) });
  }
  const figures = stats.data?.stats;
  if (figures) {
    facts.push({ label: 'Requests', value: `${format.significant(figures.requestsPerSecond)} /s`, note: 'last minute' });
    if (typeof figures.p99Ms === 'number') facts.push({ label: 'Latency p99', value: format.millis(figures.p99Ms), note: 'last minute' });
    facts.push({ label: 'Server errors', value: `${format.significant(figures.serverErrorRate)} %`, note: 'last minute' });
  }
  if (metrics) facts.push({ label: 'Storage', value: format.bytes(metrics.storage_used), note: 'all replicas' });
  // All at once, so that nothing moves while the answers come in.
  const waiting = health.isPending || names.isPending || (isAdmin && stats.isPending);
  if (facts.length > 0 && !waiting) return <Tiles facts={facts} />;
  if (names.error) return <Panel flush><Failure error={names.error} onRetry={() => void names.refetch()} /></Panel>;
  return <TilesLoading labels={isAdmin ? figureLabels : figureLabels.slice(0, 2)} />;
}

const figureLabels = ['State', 'Vectors', 'Collections', 'Workers', 'Requests', 'Latency p99', 'Server errors', 'Storage'];

const pick = (points: SeriesPoint[], key: Exclude<keyof SeriesPoint, 'timestamp'>) => points.map((point) => point[key] ?? null);
const perSecond = (value: number) => `${format.significant(value)} /s`;
const percents = (value: number) => `${format.significant(value)} %`;

function Charts() {
  const [window, setWindow] = useState('3600');
  const seconds = Number(window);
  const series = useQuery(timeSeries(seconds));
  const data = series.data;
  const charts = useMemo(() => {
    const points = data?.points ?? [];
    const line = (name: string, color: Line['color'], key: Exclude<keyof SeriesPoint, 'timestamp'>): Line => ({
      name,
      color,
      values: pick(points, key),
    });
    return {
      times: points.map((point) => point.timestamp),
      requests: [
        line('All', '--series-1', 'requestsPerSecond'),
        line('Searches', '--series-3', 'searchesPerSecond'),
        line('Writes', '--series-2', 'writesPerSecond'),
      ],
      latency: [line('p50', '--series-1', 'p50Ms'), line('p99', '--series-2', 'p99Ms')],
      errors: [line('Server errors', '--series-4', 'errorsPerSecond')],
      vectors: [line('Vectors', '--series-1', 'vectors')],
      memory: [line('Resident', '--series-1', 'memoryBytes')],
      cpu: [line('Workers', '--series-1', 'cpuPercent')],
    };
  }, [data]);
  if (series.error && !data) {
    return (
      <Panel title="Over time" flush>
        <Failure error={series.error} onRetry={() => void series.refetch()} />
      </Panel>
    );
  }
  const shared = { loading: series.isPending, times: charts.times, ...spanOf(charts.times, seconds * 1000, series.dataUpdatedAt) };
  return (
    <section aria-label="Over time" className={css.page} style={{ padding: 0, gap: 12 }}>
      <SegmentedControl
        data={windows}
        value={window}
        onChange={setWindow}
        size="xs"
        aria-label="How far back"
        style={{ alignSelf: 'flex-start' }}
      />
      <div className={css.columns}>
        <TimeChart title="Requests" lines={charts.requests} format={perSecond} {...shared} />
        <TimeChart title="Latency" lines={charts.latency} format={format.millis} {...shared} />
        <TimeChart title="Errors" lines={charts.errors} format={perSecond} {...shared} />
        <TimeChart title="Vectors" lines={charts.vectors} format={format.shortCount} {...shared} />
        <TimeChart title="Memory of the workers" lines={charts.memory} format={format.bytes} binary {...shared} />
        <TimeChart title="Processors of the workers" lines={charts.cpu} format={percents} {...shared} />
      </div>
    </section>
  );
}

function YourCollections() {
  const names = useQuery(collectionNames);
  if (!names.data) return null;
  const all = names.data.collections;
  return (
    <Panel
      title="Collections"
      flush
      side={
        <Anchor component={Link} to="/collections" size="sm">
          {all.length > 8 ? `All ${format.count(all.length)}` : 'Manage'}
        </Anchor>
      }
    >
      {all.length === 0 ? (
        <Empty
          title="No collection yet"
          action={
            <Button component={Link} to="/collections?create=1" size="xs" mt={6}>
              Create a collection
            </Button>
          }
        >
          A collection holds points of one dimension and distance. Create one, then write points to it.
        </Empty>
      ) : (
        <CollectionTable names={all.slice(0, 8)} />
      )}
    </Panel>
  );
}
