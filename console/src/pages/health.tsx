// How the parts of the system are, and what wants attention.
import { Button, SegmentedControl } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../api/client';
import type { Alert, SystemHealth } from '../api/generated';
import { alertList, systemHealth, type AlertState } from '../api/queries';
import { useIsAdmin } from '../api/session-context';
import { Pages } from '../components/pages';
import { useToasts } from '../components/toasts';
import { css, Empty, Failure, Loaded, Page, Panel, Table, Tag, Tiles, type Fact } from '../components/ui';
import * as format from '../lib/format';
import { healthTone, healthWords, levelTone } from '../lib/words';

export default function HealthPage() {
  const health = useQuery(systemHealth);
  const isAdmin = useIsAdmin();
  return (
    <Page title="System health">
      {health.data ? (
        <State health={health.data} />
      ) : (
        <Panel flush>
          <Loaded query={health} rows={4}>
            {() => null}
          </Loaded>
        </Panel>
      )}
      {isAdmin && <Alerts />}
    </Page>
  );
}

function State({ health }: { health: SystemHealth }) {
  const facts: Fact[] = [
    { label: 'State', value: <Tag tone={healthTone(health.overall_status)}>{healthWords(health.overall_status)}</Tag> },
  ];
  const metrics = health.metrics;
  if (metrics) {
    facts.push(
      { label: 'Workers', value: format.count(metrics.active_workers), note: 'answering' },
      { label: 'Processors', value: `${format.significant(metrics.cpu_usage)} %`, note: 'mean of the workers' },
      { label: 'Memory', value: format.bytes(metrics.memory_used), note: 'workers, resident' },
      { label: 'Storage', value: format.bytes(metrics.storage_used), note: 'all replicas' },
    );
    if (metrics.network_io) {
      facts.push(
        { label: 'Received', value: format.bytes(metrics.network_io.bytes_in), note: 'HTTP and gRPC, since the start' },
        { label: 'Sent', value: format.bytes(metrics.network_io.bytes_out), note: 'HTTP and gRPC, since the start' },
      );
    }
  }
  return (
    <>
      <Tiles facts={facts} />
      {health.services && health.services.length > 0 && <Services services={health.services} />}
    </>
  );
}

function Services({ services }: { services: SystemHealth['services'] }) {
  return (
    <Panel title="Services" flush>
      <Table
        label="Services"
        head={
          <>
            <th>Service</th>
            <th>State</th>
            <th className={css.right}>Response</th>
            <th>Address</th>
            <th>Last check</th>
          </>
        }
      >
        {services.map((service) => (
          <tr key={`${service.name} ${service.endpoint}`}>
            <td>{service.name}</td>
            <td>
              <Tag tone={healthTone(service.status)} dot>
                {healthWords(service.status)}
              </Tag>
              {service.error && <div className="dim small wrap-anywhere">{service.error}</div>}
            </td>
            <td className={css.right}>{service.status === 'down' ? '–' : format.millis(service.response_time)}</td>
            <td className="mono nowrap">{service.endpoint}</td>
            <td className="num nowrap">{format.dateTime(service.last_check)}</td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

// As many as the server keeps: a storm of alerts is paged here, not cut.
const alertLimit = 2000;
const pageSize = 20;

function Alerts() {
  const [state, setState] = useState<AlertState>('active');
  const [page, setPage] = useState(0);
  const alerts = useQuery(alertList(state, alertLimit));
  const list = alerts.data?.alerts ?? [];
  const pages = Math.max(1, Math.ceil(list.length / pageSize));
  const at = Math.min(page, pages - 1);
  return (
    <Panel
      title="Alerts"
      flush
      side={
        <SegmentedControl
          size="xs"
          aria-label="Which alerts"
          data={[
            { value: 'active', label: 'Active' },
            { value: 'resolved', label: 'Resolved' },
            { value: 'all', label: 'All' },
          ]}
          value={state}
          onChange={(value) => {
            setState(value as AlertState);
            setPage(0);
          }}
        />
      }
    >
      <Loaded query={alerts}>
        {() =>
          list.length === 0 ? (
            <Empty title={state === 'active' ? 'Nothing wants attention' : 'No alert is kept'}>
              {state === 'active' ? 'Alerts rise from measurements: workers, shards, disks, memory, errors, latency.' : undefined}
            </Empty>
          ) : (
            <>
              <AlertRows alerts={list.slice(at * pageSize, (at + 1) * pageSize)} nowMs={alerts.dataUpdatedAt} />
              {pages > 1 && <Pages page={at} pages={pages} onPage={setPage} />}
            </>
          )
        }
      </Loaded>
      {alerts.error && alerts.data && <Failure error={alerts.error} onRetry={() => void alerts.refetch()} />}
    </Panel>
  );
}

function AlertRows({ alerts, nowMs }: { alerts: Alert[]; nowMs: number }) {
  const client = useQueryClient();
  const toasts = useToasts();
  const resolve = useMutation({
    mutationFn: (id: string) => call('ResolveAlert', { id }),
    onSuccess: async () => {
      toasts.say('The alert is resolved');
      await client.invalidateQueries({ queryKey: ['alerts'] });
      await client.invalidateQueries({ queryKey: ['health'] });
    },
    onError: (error) => toasts.fail('The alert was not resolved', error),
  });
  return (
    <Table
      label="Alerts"
      head={
        <>
          <th>Level</th>
          <th>What</th>
          <th>About</th>
          <th>Raised</th>
          <th>
            <span className="dim">State</span>
          </th>
        </>
      }
    >
      {alerts.map((alert) => (
        <tr key={alert.id}>
          <td>
            <Tag tone={levelTone(alert.level)}>{healthWords(alert.level)}</Tag>
          </td>
          <td style={{ minWidth: 220 }}>
            <strong>{alert.title}</strong>
            <div className="dim small wrap-anywhere">{alert.message}</div>
          </td>
          <td className="wrap-anywhere">{alert.source}</td>
          <td className="num nowrap" title={format.dateTime(alert.timestamp)}>
            {format.ago(alert.timestamp, nowMs)}
          </td>
          <td>
            {alert.resolved ? (
              <span className="dim small">
                Resolved {alert.resolvedAt > 0 && format.dateTime(alert.resolvedAt)}
                {alert.resolvedBy && ` by ${alert.resolvedBy}`}
              </span>
            ) : (
              <Button
                size="compact-sm"
                variant="default"
                loading={resolve.isPending && resolve.variables === alert.id}
                onClick={() => resolve.mutate(alert.id)}
                aria-label={`Resolve: ${alert.title}`}
              >
                Resolve
              </Button>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}
