// Keys with which programs sign in.
import { Button, Group, Modal, NativeSelect, Stack, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent, type ReactNode } from 'react';
import { call } from '../api/client';
import type { APIKey, KeyScope } from '../api/generated';
import { apiKeys } from '../api/queries';
import { useSession } from '../api/session-context';
import { CopyButton } from '../components/copy';
import { Confirm, FormEnd } from '../components/dialogs';
import { IconPlus } from '../components/icons';
import { useToasts } from '../components/toasts';
import { CredentialsOff, css, Empty, Loaded, Page, Panel, Table, Tag, type Tone } from '../components/ui';
import * as format from '../lib/format';
import { expiryOf, keyNameProblem, patternsOf } from '../lib/key-form';

// A secret that is shown once, and what it is.
interface Shown {
  title: string;
  secret: string;
  text: string;
}

export default function Keys() {
  const session = useSession();
  if (session.mode === 'open') return <CredentialsOff title="API keys">No program needs a key here.</CredentialsOff>;
  return <OwnKeys />;
}

function OwnKeys() {
  const keys = useQuery(apiKeys);
  const [creating, setCreating] = useState(false);
  const [shown, setShown] = useState<Shown | null>(null);
  return (
    <Page
      title="API keys"
      lead="A program sends its key as Authorization: Bearer, or x-api-key. A key is shown once, when it is made."
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)}>
          Create key
        </Button>
      }
    >
      <Panel flush>
        <Loaded query={keys} rows={4}>
          {(data) =>
            data.keys.length === 0 ? (
              <Empty title="You have no key">Create one for each program, with no more rights than it needs.</Empty>
            ) : (
              <KeyTable keys={data.keys} onShow={setShown} nowMs={keys.dataUpdatedAt} />
            )
          }
        </Loaded>
      </Panel>
      <Modal opened={creating} onClose={() => setCreating(false)} title="Create key">
        <CreateForm
          onClose={() => setCreating(false)}
          onMade={(secret) => {
            setCreating(false);
            setShown({
              title: 'Your new key',
              secret,
              text: 'Keep it now: it is not stored in a form that could be shown again.',
            });
          }}
        />
      </Modal>
      <Modal opened={shown !== null} onClose={() => setShown(null)} title={shown?.title} size="lg" closeOnClickOutside={false}>
        <Stack>
          <p style={{ margin: 0 }}>{shown?.text}</p>
          <pre className={css.code} tabIndex={0} data-testid="secret">
            {shown?.secret}
          </pre>
          <Group justify="flex-end">
            <CopyButton text={shown?.secret ?? ''} label="Copy" />
            <Button size="xs" onClick={() => setShown(null)}>
              I have kept it
            </Button>
          </Group>
        </Stack>
      </Modal>
    </Page>
  );
}

const scopeWords: Record<KeyScope, string> = {
  KEY_SCOPE_UNSPECIFIED: 'write',
  KEY_SCOPE_READ: 'read',
  KEY_SCOPE_WRITE: 'write',
  KEY_SCOPE_ADMIN: 'administrator',
};
const scopeTone: Record<KeyScope, Tone> = {
  KEY_SCOPE_UNSPECIFIED: 'accent',
  KEY_SCOPE_READ: 'plain',
  KEY_SCOPE_WRITE: 'accent',
  KEY_SCOPE_ADMIN: 'warn',
};

function KeyTable({ keys, onShow, nowMs }: { keys: APIKey[]; onShow: (shown: Shown) => void; nowMs: number }) {
  const [revoking, setRevoking] = useState<APIKey | null>(null);
  const client = useQueryClient();
  const toasts = useToasts();
  const revoke = useMutation({
    mutationFn: (keyPrefix: string) => call('DeleteAPIKey', { keyPrefix }),
    onSuccess: async () => {
      toasts.say('The key is revoked', 'It is refused everywhere within 5 seconds.');
      await client.invalidateQueries({ queryKey: ['keys'] });
    },
    onError: (error) => toasts.fail('The key was not revoked', error),
    onSettled: () => setRevoking(null),
  });
  const token = useMutation({
    mutationFn: (key: APIKey) => call('CreateSDKJWT', { apiKeyId: key.keyPrefix }),
    onSuccess: (answer, key) =>
      onShow({ title: `Token for ${key.name}`, secret: answer.sdkJwt, text: 'An SDK token. It ends after 7 days, and with its key.' }),
    onError: (error) => toasts.fail('No token was made', error),
  });
  return (
    <>
      <Table
        label="API keys"
        head={
          <>
            <th>Name</th>
            <th>Key</th>
            <th>Rights</th>
            <th>Collections</th>
            <th>Created</th>
            <th>Expires</th>
            <th>
              <span className="dim">Actions</span>
            </th>
          </>
        }
      >
        {keys.map((key) => (
          <KeyRow key={key.keyPrefix} apiKey={key} nowMs={nowMs}>
            <Button size="compact-sm" variant="default" loading={token.isPending && token.variables === key} onClick={() => token.mutate(key)} aria-label={`Token of ${key.name}`}>
              Token
            </Button>
            <Button size="compact-sm" variant="default" onClick={() => setRevoking(key)} aria-label={`Revoke ${key.name}`}>
              Revoke
            </Button>
          </KeyRow>
        ))}
      </Table>
      <Confirm
        opened={revoking !== null}
        title="Revoke key"
        act="Revoke"
        danger
        busy={revoke.isPending}
        onClose={() => setRevoking(null)}
        onConfirm={() => revoking && revoke.mutate(revoking.keyPrefix)}
      >
        Programs that use <strong>{revoking?.name}</strong> (<span className="mono">{revoking?.keyPrefix}…</span>) are refused from now on.
      </Confirm>
    </>
  );
}

// A key, and what can be done with it.
function KeyRow({ apiKey, nowMs, children }: { apiKey: APIKey; nowMs: number; children: ReactNode }) {
  return (
    <tr>
      <td className="wrap-anywhere">{apiKey.name}</td>
      <td className="mono">{apiKey.keyPrefix}…</td>
      <td>
        <Tag tone={scopeTone[apiKey.scope]}>{scopeWords[apiKey.scope]}</Tag>
      </td>
      <td className="wrap-anywhere">{apiKey.collections.length === 0 ? <span className="dim">all</span> : apiKey.collections.join(', ')}</td>
      <td className="num nowrap">{format.dateTime(Number(apiKey.createdAt) * 1000)}</td>
      <td className="num">
        <Expiry seconds={Number(apiKey.expiresAt)} nowMs={nowMs} />
      </td>
      <td>
        <div className={css.actions} style={{ flexWrap: 'nowrap' }}>
          {children}
        </div>
      </td>
    </tr>
  );
}

function Expiry({ seconds, nowMs }: { seconds: number; nowMs: number }) {
  if (seconds === 0) return <span className="dim">never</span>;
  return seconds * 1000 < nowMs ? <Tag tone="bad">expired</Tag> : <>{format.dateTime(seconds * 1000)}</>;
}

const lives = [
  { value: '0', label: 'Never' },
  { value: '7', label: 'In 7 days' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In a year' },
];

function CreateForm({ onClose, onMade }: { onClose: () => void; onMade: (secret: string) => void }) {
  const session = useSession();
  const isAdmin = session.mode === 'user' && session.profile.role === 'ROLE_ADMIN';
  const [name, setName] = useState('');
  const [scope, setScope] = useState<KeyScope>('KEY_SCOPE_WRITE');
  const [collections, setCollections] = useState('');
  const [days, setDays] = useState('0');
  const [touched, setTouched] = useState(false);
  const client = useQueryClient();
  const problem = keyNameProblem(name);
  const create = useMutation({
    mutationFn: () =>
      call('CreateAPIKey', { name, scope, collections: patternsOf(collections), expiresAt: expiryOf(Number(days), Date.now()) }),
    onSuccess: async (answer) => {
      onMade(answer.fullKey);
      await client.invalidateQueries({ queryKey: ['keys'] });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTouched(true);
    if (!problem) create.mutate();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack>
        <TextInput
          label="Name"
          description="What uses it"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={touched ? problem : null}
          maxLength={50}
          autoComplete="off"
          data-autofocus
        />
        <NativeSelect
          label="Rights"
          data={[
            { value: 'KEY_SCOPE_READ', label: 'Read: get, list, search' },
            { value: 'KEY_SCOPE_WRITE', label: 'Write: read and change data' },
            ...(isAdmin ? [{ value: 'KEY_SCOPE_ADMIN', label: 'Administrator: everything' }] : []),
          ]}
          value={scope}
          onChange={(event) => setScope(event.currentTarget.value as KeyScope)}
        />
        <TextInput
          label="Collections"
          description="Names, or patterns with *, separated by commas; empty: all of yours"
          placeholder="docs, test-*"
          value={collections}
          onChange={(event) => setCollections(event.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
        />
        <NativeSelect
          label="Expires"
          data={lives}
          value={days}
          onChange={(event) => setDays(event.currentTarget.value)}
        />
        <FormEnd act="Create" busy={create.isPending} error={create.error} onCancel={onClose} />
      </Stack>
    </form>
  );
}
