// One's own account.
import { Button, Modal, PasswordInput, Stack } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { call } from '../api/client';
import { getToken, setToken, tokenTimes } from '../api/session';
import { signOut, useSession } from '../api/session-context';
import { FormEnd } from '../components/dialogs';
import { useToasts } from '../components/toasts';
import { Empty, Facts, Failure, Page, Panel, Tag } from '../components/ui';
import * as format from '../lib/format';
import { passwordProblem } from '../lib/password';

export default function Profile() {
  const session = useSession();
  if (session.mode !== 'user') {
    return (
      <Page title="Profile">
        <Panel flush>
          <Empty title="Nobody is signed in">This server runs without credentials: everyone who reaches it may do everything.</Empty>
        </Panel>
      </Page>
    );
  }
  const { profile } = session;
  const times = tokenTimes(getToken() ?? '');
  return (
    <Page title="Profile" actions={<Button variant="default" onClick={() => void signOut()}>Sign out</Button>}>
      <Panel title="Account">
        <Facts
          facts={[
            { label: 'E-mail', value: profile.email },
            { label: 'User id', value: <span className="mono">{profile.id}</span> },
            { label: 'Role', value: profile.role === 'ROLE_ADMIN' ? <Tag tone="warn">administrator</Tag> : <Tag>user</Tag> },
            { label: 'Plan', value: profile.plan.toLowerCase() },
            { label: 'Subscription', value: profile.subscriptionStatus.toLowerCase().replace('_', ' ') },
            { label: 'Since', value: format.dateTime(Number(profile.createdAt) * 1000) },
            ...(times ? [{ label: 'This session ends', value: format.dateTime(times.expiresAt), note: 'renewed while you work' }] : []),
          ]}
        />
      </Panel>
      <Panel title="Password">
        <ChangePassword />
      </Panel>
      <Panel title="Delete account">
        <DeleteAccount />
      </Panel>
    </Page>
  );
}

function ChangePassword() {
  const [oldPassword, setOld] = useState('');
  const [newPassword, setNew] = useState('');
  const [touched, setTouched] = useState(false);
  const toasts = useToasts();
  const problem = passwordProblem(newPassword);
  const change = useMutation({
    mutationFn: () => call('ChangePassword', { oldPassword, newPassword }),
    onSuccess: ({ jwtToken }) => {
      if (jwtToken) setToken(jwtToken);
      setOld('');
      setNew('');
      setTouched(false);
      toasts.say('Your password is changed', 'Your other sessions are ended.');
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTouched(true);
    if (!problem && oldPassword !== '') change.mutate();
  };
  return (
    <form onSubmit={submit} noValidate style={{ maxWidth: 420 }}>
      <Stack>
        <PasswordInput
          label="Present password"
          autoComplete="current-password"
          value={oldPassword}
          onChange={(event) => setOld(event.currentTarget.value)}
          error={touched && oldPassword === '' ? 'Your present password is needed.' : undefined}
        />
        <PasswordInput
          label="New password"
          autoComplete="new-password"
          value={newPassword}
          onChange={(event) => setNew(event.currentTarget.value)}
          error={touched ? problem : undefined}
        />
        {change.error && <Failure error={change.error} />}
        <Button type="submit" loading={change.isPending} style={{ alignSelf: 'flex-start' }}>
          Change password
        </Button>
      </Stack>
    </form>
  );
}

function DeleteAccount() {
  const [asking, setAsking] = useState(false);
  const [password, setPassword] = useState('');
  const remove = useMutation({
    mutationFn: () => call('DeleteUser', { password }),
    onSuccess: () => setToken(null),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (password !== '') remove.mutate();
  };
  return (
    <>
      <p className="dim" style={{ margin: '0 0 12px' }}>
        Your keys and sessions end within 5 seconds. This cannot be undone.
      </p>
      <Button variant="default" onClick={() => setAsking(true)}>
        Delete account
      </Button>
      <Modal opened={asking} onClose={() => setAsking(false)} title="Delete account" centered>
        <form onSubmit={submit}>
          <Stack>
            <PasswordInput
              label="Your password"
              autoComplete="current-password"
              value={password}
              onChange={(event) => setPassword(event.currentTarget.value)}
              data-autofocus
            />
            <FormEnd
              act="Delete for good"
              busy={remove.isPending}
              error={remove.error}
              danger
              disabled={password === ''}
              onCancel={() => setAsking(false)}
            />
          </Stack>
        </form>
      </Modal>
    </>
  );
}
