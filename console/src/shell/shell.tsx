// The frame around every page: places on the left, the state of the connection and the person on top.
import { ActionIcon, Drawer, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Suspense, useEffect, useState } from 'react';
import { Link, NavLink, Outlet, useLocation } from 'react-router';
import { alertList } from '../api/queries';
import { signOut, useIsAdmin, useSession } from '../api/session-context';
import { ErrorBoundary } from '../components/error-boundary';
import { IconLogout, IconMenu, IconMoon, IconProfile, IconSun } from '../components/icons';
import { Loading } from '../components/ui';
import { ago } from '../lib/format';
import { useLive } from '../live/live';
import { Logo } from './logo';
import { places } from './navigation';
import css from './shell.module.css';

export function Shell() {
  const location = useLocation();
  // The place at which the menu was opened: going elsewhere closes it.
  const [menuAt, setMenuAt] = useState<string | null>(null);
  return (
    <div className={css.shell}>
      <a className={css.skip} href="#content" onClick={skipToContent}>
        Skip to content
      </a>
      <div className={css.side}>
        <Navigation />
      </div>
      <Drawer opened={menuAt === location.key} onClose={() => setMenuAt(null)} size={264} padding={0} title={<Brand />}>
        <Navigation bare />
      </Drawer>
      <div className={css.main}>
        <TopBar onMenu={() => setMenuAt(location.key)} />
        <main id="content" tabIndex={-1}>
          <ErrorBoundary key={location.pathname}>
            <Suspense fallback={<Loading rows={4} height={28} />}>
              <Outlet />
            </Suspense>
          </ErrorBoundary>
        </main>
      </div>
    </div>
  );
}

// The address's hash belongs to the router, so the jump is made by hand.
function skipToContent(event: React.MouseEvent) {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

function Brand() {
  return (
    <Link to="/" className={css.brand}>
      <Logo /> Vectron
    </Link>
  );
}

function Navigation({ bare }: { bare?: boolean }) {
  const isAdmin = useIsAdmin();
  const session = useSession();
  const active = useQuery({ ...alertList('active', 1), enabled: isAdmin });
  const shown = places.map((group) => ({
    ...group,
    items: group.items.filter((place) => (isAdmin || !place.admin) && (session.mode === 'user' || !place.account)),
  }));
  return (
    <>
      {!bare && <Brand />}
      <nav className={css.nav} aria-label="Places">
        {shown.map((group) => (
          <ul className={css.group} key={group.label} aria-label={group.label}>
            <li className={css.groupLabel} aria-hidden="true">
              {group.label}
            </li>
            {group.items.map((place) => (
              <li key={place.to}>
                <NavLink to={place.to} end={place.to === '/'} className={css.link}>
                  <place.icon />
                  {place.label}
                  {place.to === '/health' && active.data && active.data.total > 0 && (
                    <span className={css.badge} title={`${active.data.total} active alerts`}>
                      {active.data.total > 99 ? '99+' : active.data.total}
                    </span>
                  )}
                </NavLink>
              </li>
            ))}
          </ul>
        ))}
      </nav>
    </>
  );
}

function TopBar({ onMenu }: { onMenu: () => void }) {
  const live = useLive();
  return (
    <>
      <header className={css.top}>
        <div className={css.topLeft}>
          <ActionIcon className={css.burger} variant="subtle" color="gray" size="lg" aria-label="Open menu" onClick={onMenu}>
            <IconMenu size={20} />
          </ActionIcon>
        </div>
        <LiveStatus />
        <SchemeSwitch />
        <Person />
      </header>
      {live.connection === 'lost' && (
        <div className={css.lost} role="alert">
          The server does not answer. What you see is from before; the console tries again by itself.
        </div>
      )}
    </>
  );
}

function LiveStatus() {
  const live = useLive();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  const words = { live: 'Live', paused: 'Paused', lost: 'No connection' }[live.connection];
  const detail = live.updatedAt > 0 ? ago(live.updatedAt, now) : '';
  return (
    <button
      type="button"
      className={css.status}
      data-state={live.connection}
      title={live.connection === 'paused' ? 'Go on with live updates' : 'Pause live updates'}
      onClick={() => live.setPaused(live.connection === 'live')}
    >
      <span className={css.lamp} />
      {words}
      <span className={`${css.statusDetail} num`}>{detail}</span>
    </button>
  );
}

function SchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const next = scheme === 'dark' ? 'light' : 'dark';
  return (
    <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Switch to ${next}`} onClick={() => setColorScheme(next)}>
      {scheme === 'dark' ? <IconSun /> : <IconMoon />}
    </ActionIcon>
  );
}

function Person() {
  const session = useSession();
  if (session.mode !== 'user') return null;
  const title = `Profile of ${session.profile.email}`;
  return (
    <>
      <ActionIcon component={Link} to="/profile" variant="subtle" color="gray" size="lg" aria-label={title} title={title}>
        <IconProfile />
      </ActionIcon>
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Sign out" title="Sign out" onClick={() => void signOut()}>
        <IconLogout />
      </ActionIcon>
    </>
  );
}
