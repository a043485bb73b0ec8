// Who sits in front of the console.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from 'react';
import { call, send } from './client';
import { troubleOf } from './errors';
import type { UserProfile } from './generated';
import { getToken, onTokenChange, setToken } from './session';

export type Session =
  | { mode: 'loading' }
  | { mode: 'failed'; error: unknown; retry: () => void }
  | { mode: 'anonymous' } // has to sign in
  | { mode: 'open' } // the server asks for no credentials
  | { mode: 'user'; profile: UserProfile };

const SessionContext = createContext<Session>({ mode: 'loading' });

type Caller = { mode: 'anonymous' | 'open' } | { mode: 'user'; profile: UserProfile };

// Who the caller is to the server. Without a token it is asked whether it wants credentials, which it says of itself, or
// shows by letting the collections be listed.
async function probe(signal: AbortSignal): Promise<Caller> {
  if (getToken() !== null) {
    const known = await profileOf(signal);
    if (known) return known;
    if (getToken() === null) return { mode: 'anonymous' };
  }
  const { credentials } = (await send('GET', '/', undefined, { signal })) as { credentials?: unknown };
  if (credentials === 'required') return { mode: 'anonymous' };
  if (credentials === 'off') return { mode: 'open' };
  try {
    await call('ListCollections', {}, { signal });
    return { mode: 'open' };
  } catch (error) {
    if (troubleOf(error) === 'unauthenticated') return { mode: 'anonymous' };
    throw error;
  }
}

// The profile behind the token; null when the token is refused or this server knows no users.
async function profileOf(signal: AbortSignal): Promise<Caller | null> {
  try {
    const { user } = await call('GetUserProfile', {}, { signal });
    return user ? { mode: 'user', profile: user } : null;
  } catch (error) {
    if (['unauthenticated', 'forbidden', 'unsupported', 'not-found'].includes(troubleOf(error))) return null;
    throw error;
  }
}

export function SessionProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const token = useSyncExternalStore(onTokenChange, getToken);
  const signedIn = token !== null;
  const query = useQuery({
    queryKey: ['session', signedIn],
    queryFn: ({ signal }) => probe(signal),
    staleTime: 60_000,
    retry: false,
    refetchInterval: (q) => (q.state.status === 'error' ? 5000 : false),
  });
  useEffect(() => {
    // Another person, or none: what the one before has seen is forgotten.
    client.removeQueries({ predicate: (q) => q.queryKey[0] !== 'session' });
  }, [client, signedIn]);
  const { data, error, refetch } = query;
  const session = useMemo<Session>(() => {
    if (data) return data;
    if (error) return { mode: 'failed', error, retry: () => void refetch() };
    return { mode: 'loading' };
  }, [data, error, refetch]);
  return <SessionContext value={session}>{children}</SessionContext>;
}

export function useSession(): Session {
  return useContext(SessionContext);
}

export function useIsAdmin(): boolean {
  const session = useSession();
  return session.mode === 'open' || (session.mode === 'user' && session.profile.role === 'ROLE_ADMIN');
}

// Ends the session here at once, and on the server if it answers.
export async function signOut(): Promise<void> {
  try {
    await call('Logout');
  } catch {
    // The token is forgotten here all the same and ends by itself.
  }
  setToken(null);
}
