// What this gateway has served, and how fast.
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import type { EndpointStats, GatewayStats, SlowQuery } from '../api/generated';
import { gatewayStats, slowQueries } from '../api/queries';
import { css, Empty, Facts, Loaded, Page, Panel, Table, Tag, Tiles, type Fact } from '../components/ui';
import * as format from '../lib/format';

export default function Gateway() {
  const stats = useQuery(gatewayStats);
  return (
    <Page title="Gateway" lead="Requests since this gateway started, over HTTP and gRPC.">
      {stats.data?.stats ? (
        <>
          <Figures stats={stats.data.stats} />
          <Endpoints endpoints={stats.data.endpoints} />
          <Slow />
        </>
      ) : (
        <Panel flush>
          <Loaded query={stats} rows={6}>
            {() => null}
          </Loaded>
        </Panel>
      )}
    </Page>
  );
}

function Figures({ stats }: { stats: GatewayStats }) {
  const limit = stats.rateLimit;
  const facts: Fact[] = [
    { label: 'Uptime', value: format.duration(stats.uptime) },
    { label: 'Requests', value: format.shortCount(stats.totalRequests), note: `${format.significant(stats.requestsPerSecond)} /s in the last minute` },
    { label: 'Average response', value: format.millis(stats.averageResponseTime), note: 'since the start' },
  ];
  if (typeof stats.p50Ms === 'number' && typeof stats.p99Ms === 'number') {
    facts.push({ label: 'Latency p50', value: format.millis(stats.p50Ms), note: 'last minute' });
    facts.push({ label: 'Latency p99', value: format.millis(stats.p99Ms), note: 'last minute' });
  }
  facts.push(
    { label: 'Errors', value: `${format.significant(stats.errorRate)} %`, note: 'since the start, those of clients included' },
    { label: 'Server errors', value: `${format.significant(stats.serverErrorRate)} %`, note: 'last minute' },
    { label: 'Connections', value: format.count(stats.activeConnections), note: `${format.count(stats.callsInFlight)} calls in flight` },
  );
  const more: Fact[] = [{ label: 'Version', value: stats.version }];
  if (stats.process) {
    more.push(
      { label: 'Processor', value: `${format.significant(stats.process.cpuPercent)} % of one core` },
      { label: 'Memory', value: format.bytes(stats.process.memoryBytes) },
      { label: 'Open files', value: `${format.count(stats.process.openFiles)} of ${format.count(stats.process.maxFiles)}` },
      { label: 'Threads', value: format.count(stats.process.threads) },
    );
  }
  if (limit) {
    more.push(
      { label: 'Rate limit', value: limit.enabled ? <Tag tone="good">{`${format.count(limit.rps)} requests/s a user`}</Tag> : <Tag>off</Tag> },
      { label: 'Users in the last minute', value: format.count(limit.activeUsers) },
    );
  }
  return (
    <>
      <Tiles facts={facts} />
      <Panel title="Process and limits">
        <Facts facts={more} />
      </Panel>
    </>
  );
}

// Of an endpoint that nobody asked no time was measured.
const timeOf = (row: EndpointStats, ms: number) => (row.count === 0 ? '–' : format.millis(ms));

type Order = 'count' | 'avg_latency_ms' | 'p99_ms' | 'error_count';

function Endpoints({ endpoints }: { endpoints: EndpointStats[] }) {
  const [order, setOrder] = useState<Order>('count');
  const [search, setSearch] = useState('');
  const rows = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    return endpoints
      .filter((row) => `${row.method} ${row.path} ${row.rpc}`.toLowerCase().includes(wanted))
      .sort((a, b) => b[order] - a[order] || (a.path < b.path ? -1 : 1));
  }, [endpoints, order, search]);
  const head = (label: string, key: Order) => (
    <th className={css.right} aria-sort={order === key ? 'descending' : 'none'}>
      <button type="button" className={css.sort} onClick={() => setOrder(key)}>
        {label}
        {order === key ? ' ↓' : ''}
      </button>
    </th>
  );
  return (
    <Panel
      title="Endpoints"
      flush
      side={
        <TextInput
          size="xs"
          aria-label="Find an endpoint"
          placeholder="Find by path or method"
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
        />
      }
    >
      {rows.length === 0 ? (
        <Empty title={endpoints.length === 0 ? 'Nothing was asked yet' : 'No endpoint of that name'} />
      ) : (
        <Table
          label="Endpoints"
          head={
            <>
              <th>Method</th>
              <th>Path</th>
              {head('Requests', 'count')}
              {head('Average', 'avg_latency_ms')}
              <th className={css.right}>p50</th>
              {head('p99', 'p99_ms')}
              {head('Errors', 'error_count')}
            </>
          }
        >
          {rows.map((row) => (
            <tr key={`${row.method} ${row.path}`}>
              <td>{row.method}</td>
              <td className="mono">{row.path}</td>
              <td className={css.right}>{format.count(row.count)}</td>
              <td className={css.right}>{timeOf(row, row.avg_latency_ms)}</td>
              <td className={css.right}>{timeOf(row, row.p50_ms)}</td>
              <td className={css.right}>{timeOf(row, row.p99_ms)}</td>
              <td className={css.right}>{format.count(row.error_count)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}

function Slow() {
  const slow = useQuery(slowQueries(''));
  return (
    <Panel title="Slow searches" flush>
      <Loaded query={slow}>
        {(data) =>
          data.queries.length === 0 ? (
            <Empty title="No search was slow">{`Those of ${format.millis(data.thresholdMs)} and more are kept.`}</Empty>
          ) : (
            <SlowRows queries={data.queries} />
          )
        }
      </Loaded>
    </Panel>
  );
}

function SlowRows({ queries }: { queries: SlowQuery[] }) {
  return (
    <Table
      label="Slow searches"
      head={
        <>
          <th>Ended</th>
          <th>Collection</th>
          <th className={css.right}>Time</th>
          <th className={css.right}>k</th>
          <th>Filter</th>
          <th>Slowest shard</th>
          <th>Outcome</th>
        </>
      }
    >
      {queries.map((query) => {
        const slowest = query.shards.toSorted((a, b) => Number(b.timeUs) - Number(a.timeUs))[0];
        return (
          <tr key={query.queryId}>
            <td className="num nowrap">{format.dateTime(query.timestamp)}</td>
            <td className="wrap-anywhere">{query.collection}</td>
            <td className={css.right}>{format.millis(query.durationMs)}</td>
            <td className={css.right}>{query.topK}</td>
            <td className="wrap-anywhere">{query.exact ? 'exact; ' : ''}{query.filter || <span className="dim">none</span>}</td>
            <td>
              {slowest ? `${slowest.shardId}: ${slowest.plan.replace(/_/g, ' ')}, ${format.millis(Number(slowest.timeUs) / 1000)}` : '–'}
            </td>
            <td>{query.error ? <Tag tone="bad">{query.error}</Tag> : query.partial ? <Tag tone="warn">partial</Tag> : <Tag tone="good">whole</Tag>}</td>
          </tr>
        );
      })}
    </Table>
  );
}
