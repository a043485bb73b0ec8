import { ActionIcon, Button, Modal, NativeSelect, NumberInput, Stack, Switch, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { useNavigate } from 'react-router';
import { call } from '../api/client';
import type { Consistency, PayloadType, VectorStorage } from '../api/generated';
import { emptyForm, problemsOf, requestOf, type CollectionForm } from '../lib/collection-form';
import { collectionPath } from './collection-table';
import css from './create-collection.module.css';
import { FormEnd } from './dialogs';
import { IconPlus, IconTrash } from './icons';
import { useToasts } from './toasts';

interface Props {
  opened: boolean;
  onClose: () => void;
}

export function CreateCollection({ opened, onClose }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title="Create collection" size="lg">
      <Form onClose={onClose} />
    </Modal>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const [form, setForm] = useState<CollectionForm>(emptyForm);
  const [touched, setTouched] = useState(false);
  const set = (change: Partial<CollectionForm>) => setForm((before) => ({ ...before, ...change }));
  const problems = problemsOf(form);
  const client = useQueryClient();
  const navigate = useNavigate();
  const toasts = useToasts();
  const create = useMutation({
    mutationFn: () => call('CreateCollection', requestOf(form)),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['collections'] });
      toasts.say(`Collection ${form.name} was created`);
      void navigate(collectionPath(form.name));
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTouched(true);
    if (Object.keys(problems).length === 0) create.mutate();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack>
        <TextInput
          label="Name"
          value={form.name}
          onChange={(event) => set({ name: event.currentTarget.value })}
          error={touched && problems.name}
          autoComplete="off"
          spellCheck={false}
          maxLength={128}
          required
          data-autofocus
        />
        <div className={css.pair}>
          <NumberInput
            label="Dimension"
            value={form.dimension}
            onChange={(value) => set({ dimension: value === '' ? '' : Number(value) })}
            min={1}
            max={65_535}
            allowDecimal={false}
            error={touched && problems.dimension}
            required
          />
          <NativeSelect
            label="Distance"
            data={[
              { value: 'cosine', label: 'Cosine' },
              { value: 'euclidean', label: 'Euclidean' },
              { value: 'dot', label: 'Dot product' },
            ]}
            value={form.distance}
            onChange={(event) => set({ distance: event.currentTarget.value })}
          />
        </div>
        <Indexes form={form} set={set} problem={touched ? problems.indexes : undefined} />
        <details>
          <summary className={css.summary}>More options</summary>
          <Options form={form} set={set} />
        </details>
        <FormEnd act="Create" busy={create.isPending} error={create.error} onCancel={onClose} />
      </Stack>
    </form>
  );
}

type Part = { form: CollectionForm; set: (change: Partial<CollectionForm>) => void };
const types: PayloadType[] = ['KEYWORD', 'INTEGER', 'FLOAT', 'BOOL', 'DATETIME'];

function Indexes({ form, set, problem }: Part & { problem?: string }) {
  const change = (key: number, next: Partial<CollectionForm['indexes'][number]>) =>
    set({ indexes: form.indexes.map((index) => (index.key === key ? { ...index, ...next } : index)) });
  return (
    <fieldset className={css.indexes}>
      <legend>Payload indexes</legend>
      <p className="dim small">Fields that filters ask for often. Filters work on any field; an index makes them faster.</p>
      {form.indexes.map((index, at) => (
        <div key={index.key} className={css.index}>
          <TextInput
            aria-label={`Field ${at + 1}`}
            placeholder="section, tags[], author.name"
            value={index.field}
            onChange={(event) => change(index.key, { field: event.currentTarget.value })}
          />
          <NativeSelect
            aria-label={`Type ${at + 1}`}
            data={types.map((type) => ({ value: type, label: type.toLowerCase() }))}
            value={index.type}
            onChange={(event) => change(index.key, { type: event.currentTarget.value as PayloadType })}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={`Remove index ${at + 1}`}
            onClick={() => set({ indexes: form.indexes.filter((other) => other.key !== index.key) })}
          >
            <IconTrash />
          </ActionIcon>
        </div>
      ))}
      {problem && <p className={css.problem}>{problem}</p>}
      <Button
        variant="default"
        size="xs"
        leftSection={<IconPlus size={14} />}
        onClick={() => set({ indexes: [...form.indexes, { key: Date.now() + Math.random(), field: '', type: 'KEYWORD' }] })}
      >
        Add index
      </Button>
    </fieldset>
  );
}

type NumberKey = 'shardCount' | 'replicationFactor' | 'm' | 'efConstruct' | 'efSearch' | 'rerankBudgetMs' | 'rerankCandidates';

function Options({ form, set }: Part) {
  const number = (label: string, key: NumberKey, hint: string) => (
    <NumberInput
      label={label}
      description={hint}
      value={form[key]}
      onChange={(value) => set({ [key]: value === '' ? '' : Number(value) })}
      min={0}
      allowDecimal={false}
      placeholder="default"
    />
  );
  return (
    <div className={css.options}>
      {number('Shards', 'shardCount', 'Empty: the cluster chooses')}
      {number('Replicas', 'replicationFactor', 'Copies of each shard')}
      {number('HNSW M', 'm', 'Links per point: 4 to 64, default 16')}
      {number('Build breadth', 'efConstruct', 'ef of inserts: 8 to 4096, default 200')}
      {number('Search breadth', 'efSearch', 'ef of searches: max(64, 3 k) if empty')}
      <NativeSelect
        label="Vectors on disk"
        description="How full precision is kept"
        data={[
          { value: 'VECTOR_STORAGE_F32', label: '32-bit floats' },
          { value: 'VECTOR_STORAGE_F16', label: '16-bit floats' },
        ]}
        value={form.storage}
        onChange={(event) => set({ storage: event.currentTarget.value as VectorStorage })}
      />
      <NativeSelect
        label="Consistency"
        description="Of reads that do not say themselves"
        data={[
          { value: 'STRONG', label: 'Strong' },
          { value: 'BOUNDED', label: 'Bounded staleness' },
          { value: 'EVENTUAL', label: 'Eventual' },
        ]}
        value={form.consistency}
        onChange={(event) => set({ consistency: event.currentTarget.value as Consistency })}
      />
      <NativeSelect
        label="Reranking"
        description="Of searches that carry a query text"
        data={[
          { value: '', label: 'The server’s choice' },
          { value: 'none', label: 'None' },
          { value: 'rule', label: 'Rule' },
          { value: 'learned', label: 'Learned' },
          { value: 'llm', label: 'Language model' },
        ]}
        value={form.rerank}
        onChange={(event) => set({ rerank: event.currentTarget.value })}
      />
      {number('Reranking budget, ms', 'rerankBudgetMs', 'Past it the order by distance stands')}
      {number('Reranking candidates', 'rerankCandidates', 'Nearest points looked at: up to 1,000')}
      <Switch
        label="Swap neighbours now and then to learn from clicks"
        checked={form.rerankExplore}
        onChange={(event) => set({ rerankExplore: event.currentTarget.checked })}
      />
      <Switch
        label="Keep full-precision vectors in memory"
        checked={form.vectorsInMemory}
        onChange={(event) => set({ vectorsInMemory: event.currentTarget.checked })}
      />
    </div>
  );
}
