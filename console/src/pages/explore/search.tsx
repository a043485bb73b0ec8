// Searches by a vector, or by a point that is there, and says how each shard found what it found.
import { Button, NativeSelect, NumberInput, SegmentedControl, Switch, TextInput } from '@mantine/core';
import { useMutation, type UseMutationResult } from '@tanstack/react-query';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { call } from '../../api/client';
import type { Consistency, FilterInput } from '../../api/generated';
import { Empty, Failure, Loading, Panel } from '../../components/ui';
import { emptySearch, searchRequest, type SearchForm } from '../../lib/search-form';
import { parseVector } from '../../lib/vector';
import css from './explore.module.css';
import { FilterEditor, filterIn, noFilter } from './filter-editor';
import { SearchResults } from './search-results';
import { VectorInput } from './vector-input';

interface Props {
  collection: string;
  dimension: number;
  distance: string;
  like: string; // id of a point to search by; '' : none
  onOpen: (id: string) => void;
  onSimilar: (id: string) => void;
}

type Source = 'vector' | 'point';
const sources: { value: Source; label: string }[] = [
  { value: 'vector', label: 'By vector' },
  { value: 'point', label: 'By point' },
];

// One search: of a vector that was typed, or of the one that a point has.
interface Wish {
  source: Source;
  vector: number[];
  pointId: string;
}

async function searchFor(collection: string, wish: Wish, form: SearchForm, filter: FilterInput | undefined) {
  let { vector } = wish;
  if (wish.source === 'point') {
    const { point } = await call('Get', { collection, id: wish.pointId });
    vector = point?.vector ?? [];
  }
  const request = searchRequest(collection, vector, form, filter);
  const started = performance.now();
  const response = await call('Search', request);
  return { request, response, tookMs: performance.now() - started, like: wish.source === 'point' ? wish.pointId : null };
}
type Found = Awaited<ReturnType<typeof searchFor>>;

export function Search(props: Props) {
  const { collection, dimension } = props;
  const [source, setSource] = useState<Source>(props.like ? 'point' : 'vector');
  const [vectorText, setVectorText] = useState('');
  const [pointId, setPointId] = useState(props.like);
  const [form, setForm] = useState<SearchForm>(emptySearch);
  const [editor, setEditor] = useState(noFilter);
  const [touched, setTouched] = useState(false);
  const set = (change: Partial<SearchForm>) => setForm((before) => ({ ...before, ...change }));
  const { filter, problem } = filterIn(editor);
  const typed = parseVector(vectorText, dimension);

  const search = useMutation({
    mutationFn: () => searchFor(collection, { source, vector: typed.ok ? typed.value : [], pointId }, form, filter),
  });
  const ready = problem === undefined && (source === 'point' ? pointId !== '' : typed.ok);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTouched(true);
    if (ready) search.mutate();
  };
  // Arriving with a point to search by searches at once.
  const { mutate } = search;
  const arrived = useRef(false);
  useEffect(() => {
    if (props.like && !arrived.current) mutate();
    arrived.current = true;
  }, [props.like, mutate]);

  return (
    <div className={css.two}>
      <Panel>
        <form onSubmit={submit} noValidate className={css.stack}>
          <SegmentedControl fullWidth aria-label="Search by" data={sources} value={source} onChange={(value) => setSource(value as Source)} />
          {source === 'vector' ? (
            <VectorInput
              dimension={dimension}
              text={vectorText}
              problem={touched && !typed.ok ? typed.problem : undefined}
              onChange={setVectorText}
            />
          ) : (
            <TextInput
              label="Point id"
              description="Its vector is searched for; the point itself comes first"
              value={pointId}
              onChange={(event) => setPointId(event.currentTarget.value)}
              error={touched && pointId === '' ? 'The id of a point is needed.' : undefined}
              spellCheck={false}
            />
          )}
          <FilterEditor state={editor} onChange={setEditor} />
          <Options form={form} set={set} />
          <Button type="submit" loading={search.isPending}>
            Search
          </Button>
        </form>
      </Panel>
      <Outcome {...props} search={search} />
    </div>
  );
}

function Outcome({ search, ...props }: Props & { search: UseMutationResult<Found, Error, void> }) {
  return (
    <div className={css.stack}>
      {search.error ? (
        <Panel flush>
          <Failure error={search.error} onRetry={() => search.mutate()} />
        </Panel>
      ) : search.data ? (
        <SearchResults
          key={search.data.response.queryId}
          {...search.data}
          collection={props.collection}
          distance={props.distance}
          onOpen={props.onOpen}
          onSimilar={props.onSimilar}
        />
      ) : (
        <Panel flush>
          {search.isPending ? (
            <Loading rows={6} />
          ) : (
            <Empty title="Nothing was searched for yet">Give a vector or the id of a point, then press Search.</Empty>
          )}
        </Panel>
      )}
    </div>
  );
}

function Options({ form, set }: { form: SearchForm; set: (change: Partial<SearchForm>) => void }) {
  const number = (value: string | number) => (value === '' ? '' : Number(value));
  return (
    <>
      <div className={css.form}>
        <NumberInput label="Results" value={form.topK} onChange={(value) => set({ topK: number(value) })} min={1} max={16_384} allowDecimal={false} />
        <NumberInput
          label="Breadth (ef)"
          placeholder="default"
          value={form.ef}
          onChange={(value) => set({ ef: number(value) })}
          min={1}
          allowDecimal={false}
          disabled={form.exact}
        />
        <NumberInput label="Farthest score" placeholder="any" value={form.threshold} onChange={(value) => set({ threshold: number(value) })} />
        <NativeSelect
          label="Consistency"
          data={[
            { value: 'CONSISTENCY_UNSPECIFIED', label: 'default' },
            { value: 'STRONG', label: 'strong' },
            { value: 'BOUNDED', label: 'bounded staleness' },
            { value: 'EVENTUAL', label: 'eventual' },
          ]}
          value={form.consistency}
          onChange={(event) => set({ consistency: event.currentTarget.value as Consistency })}
        />
        {form.consistency === 'BOUNDED' && (
          <NumberInput
            label="Most staleness, ms"
            placeholder="0, as strong"
            value={form.maxStalenessMs}
            onChange={(value) => set({ maxStalenessMs: number(value) })}
            min={1}
            allowDecimal={false}
          />
        )}
      </div>
      <div className={css.form}>
        <TextInput
          label="Query text"
          placeholder="for reranking"
          value={form.query}
          onChange={(event) => set({ query: event.currentTarget.value })}
        />
        <NativeSelect
          label="Reranking"
          data={[
            { value: '', label: 'default' },
            { value: 'none', label: 'none' },
            { value: 'rule', label: 'rule' },
            { value: 'learned', label: 'learned' },
            { value: 'llm', label: 'language model' },
          ]}
          value={form.strategy}
          disabled={form.query.trim() === ''}
          onChange={(event) => set({ strategy: event.currentTarget.value })}
        />
      </div>
      <div className={css.rowActions} style={{ gap: 20 }}>
        <Switch label="Exact" checked={form.exact} onChange={(event) => set({ exact: event.currentTarget.checked })} />
        <Switch label="Explain" checked={form.explain} onChange={(event) => set({ explain: event.currentTarget.checked })} />
      </div>
    </>
  );
}
