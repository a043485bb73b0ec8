// Who may use this server; for administrators.
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../api/client';
import type { Plan, Role, SubscriptionStatus, UserProfile } from '../api/generated';
import { useSession } from '../api/session-context';
import { Confirm } from '../components/dialogs';
import { useToasts } from '../components/toasts';
import { CredentialsOff, css, Empty, Loaded, Page, Panel, Table, Tag } from '../components/ui';
import * as format from '../lib/format';

const pageSize = 100;

export default function Users() {
  const session = useSession();
  if (session.mode === 'open') return <CredentialsOff title="Users">It knows no users.</CredentialsOff>;
  return <AllUsers />;
}

function AllUsers() {
  const [trail, setTrail] = useState(['']);
  const [search, setSearch] = useState('');
  const afterId = trail.at(-1) ?? '';
  const users = useQuery({
    queryKey: ['users', afterId],
    queryFn: ({ signal }) => call('ListUsers', { afterId, limit: pageSize }, { signal }),
  });
  const wanted = search.trim().toLowerCase();
  const shown = (users.data?.users ?? []).filter((user) => `${user.email} ${user.id}`.toLowerCase().includes(wanted));
  const next = users.data?.nextAfterId ?? '';
  return (
    <Page title="Users">
      <Panel flush>
        <div className={css.panelHead}>
          <TextInput
            size="xs"
            aria-label="Find a user on this page"
            placeholder="Find on this page"
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
          />
          <div className={css.actions}>
            <Button size="compact-sm" variant="default" disabled={trail.length === 1} onClick={() => setTrail(trail.slice(0, -1))}>
              Previous
            </Button>
            <Button size="compact-sm" variant="default" disabled={next === ''} onClick={() => setTrail([...trail, next])}>
              Next
            </Button>
          </div>
        </div>
        <Loaded query={users} rows={5}>
          {() => (shown.length === 0 ? <Empty title="No user of that name on this page" /> : <Rows users={shown} />)}
        </Loaded>
      </Panel>
      <SigningKeys />
    </Page>
  );
}

interface Change {
  user: UserProfile;
  role?: Role;
  plan?: Plan;
  subscriptionStatus?: SubscriptionStatus;
}

function Rows({ users }: { users: UserProfile[] }) {
  const session = useSession();
  const own = session.mode === 'user' ? session.profile.id : '';
  const [asked, setAsked] = useState<Change | null>(null);
  const client = useQueryClient();
  const toasts = useToasts();
  const update = useMutation({
    mutationFn: ({ user, ...change }: Change) => call('UpdateUser', { userId: user.id, ...change }),
    onSuccess: async (_, { user }) => {
      toasts.say(`${user.email} was changed`);
      await client.invalidateQueries({ queryKey: ['users'] });
    },
    onError: (error, { user }) => toasts.fail(`${user.email} was not changed`, error),
    onSettled: () => setAsked(null),
  });
  return (
    <>
      <Table
        label="Users"
        head={
          <>
            <th>E-mail</th>
            <th>Role</th>
            <th>Plan</th>
            <th>Subscription</th>
            <th>Since</th>
          </>
        }
      >
        {users.map((user) => (
          <Row key={user.id} user={user} isOwn={user.id === own} onRole={(role) => setAsked({ user, role })} onChange={(change) => update.mutate({ user, ...change })} />
        ))}
      </Table>
      <Confirm
        opened={asked !== null}
        title="Change role"
        act={asked?.role === 'ROLE_ADMIN' ? 'Make administrator' : 'Make user'}
        busy={update.isPending}
        onClose={() => setAsked(null)}
        onConfirm={() => asked && update.mutate(asked)}
      >
        {asked?.role === 'ROLE_ADMIN'
          ? `${asked.user.email} will see and change everything, the collections of all users included.`
          : `${asked?.user.email ?? ''} will see only what is their own.`}
      </Confirm>
    </>
  );
}

const roleWords: Record<Role, string> = { ROLE_UNSPECIFIED: 'user', ROLE_USER: 'user', ROLE_ADMIN: 'administrator' };
// "PAST_DUE" reads "past due".
const lower = (value: string) => value.replace(/_/g, ' ').toLowerCase();

function Row(props: {
  user: UserProfile;
  isOwn: boolean;
  onRole: (role: Role) => void;
  onChange: (change: Omit<Change, 'user' | 'role'>) => void;
}) {
  const { user, isOwn, onRole, onChange } = props;
  const sinceMs = Number(user.createdAt) * 1000;
  const choice = <Value extends string>(what: string, value: Value, values: Value[], words: (value: Value) => string, set: (value: Value) => void) => (
    <NativeSelect
      size="xs"
      aria-label={`${what} of ${user.email}`}
      value={value}
      data={values.map((each) => ({ value: each, label: words(each) }))}
      disabled={what === 'Role' && isOwn}
      onChange={(event) => set(event.currentTarget.value as Value)}
    />
  );
  return (
    <tr>
      <td className="wrap-anywhere">
        {user.email} {isOwn && <Tag tone="accent">you</Tag>}
        <div className="dim small mono">{user.id}</div>
      </td>
      <td>{choice<Role>('Role', user.role, ['ROLE_USER', 'ROLE_ADMIN'], (role) => roleWords[role], onRole)}</td>
      <td>{choice<Plan>('Plan', user.plan, ['FREE', 'PAID'], lower, (plan) => onChange({ plan }))}</td>
      <td>
        {choice<SubscriptionStatus>('Subscription', user.subscriptionStatus, ['ACTIVE', 'CANCELED', 'PAST_DUE'], lower, (subscriptionStatus) =>
          onChange({ subscriptionStatus }),
        )}
      </td>
      <td className="num nowrap" title={format.dateTime(sinceMs)}>
        {format.date(sinceMs)}
      </td>
    </tr>
  );
}

function SigningKeys() {
  const [asking, setAsking] = useState(false);
  const toasts = useToasts();
  const rotate = useMutation({
    mutationFn: () => call('RotateSigningKey'),
    onSuccess: (answer) => toasts.say('Tokens are signed with a new key', `Its id is ${answer.keyId}.`),
    onError: (error) => toasts.fail('The key was not changed', error),
    onSettled: () => setAsking(false),
  });
  return (
    <Panel
      title="Signing key"
      side={
        <Button size="xs" variant="default" onClick={() => setAsking(true)}>
          Rotate
        </Button>
      }
    >
      <p className="dim" style={{ margin: 0 }}>
        Login and SDK tokens are signed with it. After a rotation, tokens of the old key hold until they end.
      </p>
      <Confirm opened={asking} title="Rotate signing key" act="Rotate" busy={rotate.isPending} onClose={() => setAsking(false)} onConfirm={() => rotate.mutate()}>
        New tokens are signed with a new key from now on. Nobody is signed out.
      </Confirm>
    </Panel>
  );
}
