// Questions before an act that cannot be taken back, and how forms in dialogs end.
import { Button, Group, Modal, Stack, TextInput } from '@mantine/core';
import { useState, type FormEvent, type ReactNode } from 'react';
import { Failure } from './ui';

// The last rows of a form: what went wrong when it was sent, then the way back and the way on.
export function FormEnd(props: {
  act: string;
  busy: boolean;
  error?: unknown;
  danger?: boolean;
  disabled?: boolean;
  onCancel: () => void;
}) {
  return (
    <>
      {props.error ? <Failure error={props.error} /> : null}
      <Group justify="flex-end">
        <Button variant="default" onClick={props.onCancel}>
          Cancel
        </Button>
        <Button type="submit" color={props.danger ? 'red.9' : undefined} disabled={props.disabled} loading={props.busy}>
          {props.act}
        </Button>
      </Group>
    </>
  );
}

// Asks to type a name before something of that name is destroyed.
export function ConfirmByName(props: {
  opened: boolean;
  title: string;
  name: string;
  act: string;
  busy: boolean;
  onClose: () => void;
  onConfirm: () => void;
  children: ReactNode;
}) {
  const [typed, setTyped] = useState('');
  const matches = typed === props.name;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (matches) props.onConfirm();
  };
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={props.title} centered onExitTransitionEnd={() => setTyped('')}>
      <form onSubmit={submit}>
        <Stack>
          <div className="wrap-anywhere">{props.children}</div>
          <TextInput
            label={
              <>
                Type <span className="mono wrap-anywhere">{props.name}</span> to confirm
              </>
            }
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
          />
          <FormEnd act={props.act} busy={props.busy} danger disabled={!matches} onCancel={props.onClose} />
        </Stack>
      </form>
    </Modal>
  );
}

export function Confirm(props: {
  opened: boolean;
  title: string;
  act: string;
  busy: boolean;
  danger?: boolean;
  onClose: () => void;
  onConfirm: () => void;
  children: ReactNode;
}) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={props.title} centered>
      <Stack>
        <div className="wrap-anywhere">{props.children}</div>
        <Group justify="flex-end">
          <Button variant="default" onClick={props.onClose} data-autofocus>
            Cancel
          </Button>
          <Button color={props.danger ? 'red.9' : undefined} loading={props.busy} onClick={props.onConfirm}>
            {props.act}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
