import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { HashRouter, Navigate, Route, Routes } from 'react-router';
import { troubleOf } from './api/errors';
import { SessionProvider, useSession } from './api/session-context';
import { ErrorBoundary } from './components/error-boundary';
import { ToastProvider } from './components/toasts';
import { Failure, Loading } from './components/ui';
import { LiveProvider } from './live/live';
import { Shell } from './shell/shell';
import { theme } from './theme';

const SignIn = lazy(() => import('./pages/sign-in'));
const Overview = lazy(() => import('./pages/overview'));
const Collections = lazy(() => import('./pages/collections'));
const Collection = lazy(() => import('./pages/collection'));
const Explore = lazy(() => import('./pages/explore'));
const HealthPage = lazy(() => import('./pages/health'));
const Gateway = lazy(() => import('./pages/gateway'));
const Workers = lazy(() => import('./pages/workers'));
const Placement = lazy(() => import('./pages/placement'));
const Ranking = lazy(() => import('./pages/ranking'));
const Keys = lazy(() => import('./pages/keys'));
const Users = lazy(() => import('./pages/users'));
const Profile = lazy(() => import('./pages/profile'));
const Api = lazy(() => import('./pages/api'));
const NotFound = lazy(() => import('./pages/not-found'));

function makeClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        networkMode: 'always',
        staleTime: 2000,
        refetchOnWindowFocus: false,
        // Only what may go by itself is tried again; the live updates try on after that.
        retry: (failures, error) => failures < 1 && ['busy', 'server'].includes(troubleOf(error)),
      },
      mutations: { networkMode: 'always' },
    },
  });
}

export function App() {
  const [client] = useState(makeClient);
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <QueryClientProvider client={client}>
        <ToastProvider>
          <HashRouter>
            <SessionProvider>
              <ErrorBoundary>
                <Doors />
              </ErrorBoundary>
            </SessionProvider>
          </HashRouter>
        </ToastProvider>
      </QueryClientProvider>
    </MantineProvider>
  );
}

// Who has not signed in sees the door, everyone else the house.
function Doors() {
  const session = useSession();
  if (session.mode === 'loading') return <Loading rows={1} />;
  if (session.mode === 'failed') return <Failure error={session.error} onRetry={session.retry} />;
  if (session.mode === 'anonymous') {
    return (
      <Suspense fallback={<Loading rows={1} />}>
        <Routes>
          <Route path="/sign-up" element={<SignIn act="sign-up" />} />
          <Route path="*" element={<SignIn act="sign-in" />} />
        </Routes>
      </Suspense>
    );
  }
  return (
    <LiveProvider>
      <Routes>
        <Route element={<Shell />}>
          <Route index element={<Overview />} />
          <Route path="collections" element={<Collections />} />
          <Route path="collections/:name" element={<Collection />} />
          <Route path="explore" element={<Explore />} />
          <Route path="health" element={<HealthPage />} />
          <Route path="gateway" element={<Gateway />} />
          <Route path="workers" element={<Workers />} />
          <Route path="workers/:id" element={<Workers />} />
          <Route path="placement" element={<Placement />} />
          <Route path="ranking" element={<Ranking />} />
          <Route path="keys" element={<Keys />} />
          <Route path="users" element={<Users />} />
          <Route path="profile" element={<Profile />} />
          <Route path="api" element={<Api />} />
          <Route path="sign-in" element={<Navigate to="/" replace />} />
          <Route path="sign-up" element={<Navigate to="/" replace />} />
          <Route path="*" element={<NotFound />} />
        </Route>
      </Routes>
    </LiveProvider>
  );
}
