// Writes a point: a new one, or one that is there.
import { Button, Group, Modal, Stack, Textarea, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { call } from '../../api/client';
import type { JsonObject } from '../../api/generated';
import { useToasts } from '../../components/toasts';
import { Failure, Loaded } from '../../components/ui';
import { parseObject, parseVector, randomVector } from '../../lib/vector';
import { pointQuery } from './point-view';

interface Props {
  collection: string;
  dimension: number;
  opened: boolean;
  id: string; // '' : a new point
  onClose: () => void;
  onWritten: (id: string) => void;
}

const mono = { input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12.5 } };

export function PointEditor(props: Props) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={props.id === '' ? 'Add point' : 'Edit point'} size="lg">
      {props.id === '' ? <Form {...props} vector="" payload="" /> : <Existing {...props} />}
    </Modal>
  );
}

function Existing(props: Props) {
  const point = useQuery(pointQuery(props.collection, props.id));
  return (
    <Loaded query={point} rows={4}>
      {(data) => (
        <Form
          {...props}
          vector={data.point?.vector.join(', ') ?? ''}
          payload={JSON.stringify(data.point?.payload ?? {}, null, 2)}
        />
      )}
    </Loaded>
  );
}

function Form(props: Props & { vector: string; payload: string }) {
  const { collection, dimension } = props;
  const [id, setId] = useState(props.id);
  const [vectorText, setVectorText] = useState(props.vector);
  const [payloadText, setPayloadText] = useState(props.payload);
  const [touched, setTouched] = useState(false);
  const client = useQueryClient();
  const toasts = useToasts();
  const vector = parseVector(vectorText, dimension);
  const payload = parseObject(payloadText);
  const write = useMutation({
    mutationFn: (point: { id: string; vector: number[]; payload: JsonObject }) =>
      call('Upsert', { collection, points: [point], insertOnly: props.id === '' }),
    onSuccess: async () => {
      toasts.say(`Point ${id} was written`);
      await client.invalidateQueries({ queryKey: ['point', collection, id] });
      await client.invalidateQueries({ queryKey: ['points', collection] });
      await client.invalidateQueries({ queryKey: ['collection', collection] });
      props.onWritten(id);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTouched(true);
    if (id !== '' && vector.ok && payload.ok) write.mutate({ id, vector: vector.value, payload: payload.value as JsonObject });
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack>
        <TextInput
          label="Id"
          value={id}
          onChange={(event) => setId(event.currentTarget.value)}
          disabled={props.id !== ''}
          error={touched && id === '' ? 'An id is needed: 1 to 256 bytes of text.' : undefined}
          maxLength={256}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
        />
        <Textarea
          label="Vector"
          description={`${dimension} numbers, separated by commas or spaces`}
          value={vectorText}
          onChange={(event) => setVectorText(event.currentTarget.value)}
          error={touched && !vector.ok ? vector.problem : undefined}
          rows={4}
          spellCheck={false}
          styles={mono}
        />
        <Button
          size="compact-xs"
          variant="subtle"
          style={{ alignSelf: 'flex-start' }}
          onClick={() => setVectorText(randomVector(dimension).join(', '))}
        >
          Fill with a random direction
        </Button>
        <Textarea
          label="Payload"
          description="A JSON object; may be empty"
          placeholder='{"title": "…"}'
          value={payloadText}
          onChange={(event) => setPayloadText(event.currentTarget.value)}
          error={touched && !payload.ok ? payload.problem : undefined}
          rows={6}
          spellCheck={false}
          styles={mono}
        />
        {write.error && <Failure error={write.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={props.onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={write.isPending}>
            Write point
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
