// Writes a point: a new one, or one that is there.
import { Modal, Stack, Textarea, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { call } from '../../api/client';
import type { JsonObject } from '../../api/generated';
import { FormEnd } from '../../components/dialogs';
import { useToasts } from '../../components/toasts';
import { Loaded } from '../../components/ui';
import { parseObject, parseVector } from '../../lib/vector';
import { pointQuery } from './point-view';
import { mono, VectorInput } from './vector-input';

interface Props {
  collection: string;
  dimension: number;
  opened: boolean;
  id: string; // '' : a new point
  onClose: () => void;
  onWritten: (id: string) => void;
}

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
        <VectorInput
          dimension={dimension}
          text={vectorText}
          problem={touched && !vector.ok ? vector.problem : undefined}
          onChange={setVectorText}
        />
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
        <FormEnd act="Write point" busy={write.isPending} error={write.error} onCancel={props.onClose} />
      </Stack>
    </form>
  );
}
