// Live updates, in this one place: a tick every few seconds asks the server again for what the open page shows. Ticks stop
// while the page is hidden or paused, and come at growing distances while the server does not answer.
import { useQueryClient } from '@tanstack/react-query';
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { renewTokenIfDue } from '../api/client';
import { troubleOf } from '../api/errors';

const tickMs = 5000;
const longestTickMs = 30_000;

export type Connection = 'live' | 'paused' | 'lost';
interface Live {
  connection: Connection;
  updatedAt: number; // ms; of the last answer, 0: none yet
  setPaused: (paused: boolean) => void;
  tickNow: () => void;
}

const LiveContext = createContext<Live>({ connection: 'live', updatedAt: 0, setPaused: () => {}, tickNow: () => {} });

// Distance to the next tick after so many ticks without an answer.
export function tickDelay(failures: number): number {
  return Math.min(tickMs * 2 ** Math.min(failures, 10), longestTickMs);
}

// Whether it is worth asking again without being told to: a right or a route that is missing stays so.
function mayGetBetter(error: unknown): boolean {
  return error === null || !['forbidden', 'unsupported'].includes(troubleOf(error));
}

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [paused, setPaused] = useState(false);
  const [failures, setFailures] = useState(0);
  const [updatedAt, setUpdatedAt] = useState(0);

  useEffect(
    () =>
      client.getQueryCache().subscribe((event) => {
        if (event.type !== 'updated') return;
        if (event.action.type === 'success') {
          setUpdatedAt(Date.now());
          setFailures(0);
        } else if (event.action.type === 'error') {
          const offline = troubleOf(event.action.error) === 'offline';
          setFailures((before) => (offline ? before + 1 : 0));
        }
      }),
    [client],
  );

  const tickNow = useCallback(() => {
    void renewTokenIfDue(Date.now());
    void client.refetchQueries({
      type: 'active',
      predicate: (query) => query.meta?.live === true && mayGetBetter(query.state.error),
    });
  }, [client]);

  useEffect(() => {
    if (paused) return undefined;
    let timer = 0;
    const plan = () => {
      timer = window.setTimeout(() => {
        if (!document.hidden) tickNow();
        plan();
      }, tickDelay(failures));
    };
    const onVisible = () => {
      if (!document.hidden) tickNow();
    };
    plan();
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      window.clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [paused, failures, tickNow]);

  const value = useMemo<Live>(
    () => ({ connection: failures > 0 ? 'lost' : paused ? 'paused' : 'live', updatedAt, setPaused, tickNow }),
    [failures, paused, updatedAt, tickNow],
  );
  return <LiveContext value={value}>{children}</LiveContext>;
}

export function useLive(): Live {
  return useContext(LiveContext);
}
