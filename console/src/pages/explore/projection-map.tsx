// A sample of the points in the plane that spreads them most.
import { NativeSelect } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useCallback, useMemo, useState } from 'react';
import { call } from '../../api/client';
import type { Point } from '../../api/generated';
import { Scatter } from '../../components/scatter';
import { Empty, Loaded, Panel } from '../../components/ui';
import * as format from '../../lib/format';
import { projectRows, type Projection } from '../../lib/pca';
import { colorBy, colorFields, sampleSize } from '../../lib/sample';
import css from './explore.module.css';
import { FilterEditor, filterIn, noFilter } from './filter-editor';
import { shortValue } from './payload-preview';

interface Props {
  collection: string;
  dimension: number;
  onOpen: (id: string) => void;
}

const sizes = [200, 500, 1000, 2000];
const pageSize = 500;
const chartHeight = 'clamp(400px, 62vh, 1100px)';

export function ProjectionMap({ collection, dimension, onOpen }: Props) {
  const [wanted, setWanted] = useState(500);
  const [editor, setEditor] = useState(noFilter);
  const { filter, problem } = filterIn(editor);
  const size = sampleSize(dimension, wanted);
  const sample = useQuery({
    queryKey: ['sample', collection, size, filter ?? null],
    queryFn: async ({ signal }) => {
      const points: Point[] = [];
      let afterId = '';
      do {
        const limit = Math.min(pageSize, size - points.length);
        const page = await call('ScrollPoints', { collection, afterId, limit, filter, includeVectors: true }, { signal });
        points.push(...page.points);
        afterId = page.nextAfterId;
      } while (afterId !== '' && points.length < size);
      const projection = points.length >= 2 ? await projectRows(points.map((point) => point.vector)) : null;
      return { points: points.map(({ id, payload }) => ({ id, payload })), projection, whole: afterId === '' };
    },
    enabled: problem === undefined,
    staleTime: Infinity,
  });
  return (
    <div className={css.stack}>
      <Panel>
        <div className={css.stack}>
          <NativeSelect
            label="Sample"
            data={sizes.map((each) => ({ value: String(each), label: `${format.count(sampleSize(dimension, each))} points` }))}
            value={String(wanted)}
            onChange={(event) => setWanted(Number(event.currentTarget.value))}
            style={{ maxWidth: 200 }}
          />
          <FilterEditor state={editor} onChange={setEditor} />
        </div>
      </Panel>
      <Loaded query={sample} rows={8} height={48}>
        {(data) =>
          data.projection ? (
            <Picture points={data.points} projection={data.projection} whole={data.whole} onOpen={onOpen} />
          ) : (
            <Panel flush>
              <Empty title="There is nothing to draw">At least two points are needed.</Empty>
            </Panel>
          )
        }
      </Loaded>
    </div>
  );
}

type Sampled = Pick<Point, 'id' | 'payload'>;

function Picture(props: { points: Sampled[]; projection: Projection; whole: boolean; onOpen: (id: string) => void }) {
  const { points, projection, whole, onOpen } = props;
  const payloads = useMemo(() => points.map((point) => point.payload), [points]);
  const fields = useMemo(() => colorFields(payloads), [payloads]);
  const [field, setField] = useState(fields[0] ?? '');
  const coloring = useMemo(() => colorBy(payloads, field), [payloads, field]);
  const dots = useMemo(
    () =>
      points.map((point, at) => ({
        x: projection.x[at]!,
        y: projection.y[at]!,
        color: coloring.colors[at]!,
        text: hoverText(point),
      })),
    [points, projection, coloring],
  );
  const pick = useCallback((at: number) => onOpen(points[at]!.id), [points, onOpen]);
  const [first, second] = projection.explained;
  const which = whole ? `All ${format.count(points.length)} points` : `The first ${format.count(points.length)} points by id`;
  return (
    <Panel
      title="Map"
      side={
        fields.length > 0 && (
          <NativeSelect
            size="xs"
            aria-label="Colour by"
            data={[{ value: '', label: 'no colours' }, ...fields.map((each) => ({ value: each, label: `coloured by ${each}` }))]}
            value={field}
            onChange={(event) => setField(event.currentTarget.value)}
          />
        )
      }
    >
      <p className={css.note}>
        {which}, in the plane of their first two principal components: where they differ most. Wheel: zoom. Drag: move. Click: open.
      </p>
      <Scatter
        label={`${which} in the plane of two principal components`}
        axes={[`First component: ${format.percent(first)} of the variance`, `Second component: ${format.percent(second)} of the variance`]}
        height={chartHeight}
        dots={dots}
        onPick={pick}
      />
      {coloring.keys.length > 0 && (
        <ul className={css.keys}>
          {coloring.keys.map((key) => (
            <li key={key.label}>
              <span className={css.keyDot} style={{ background: key.color }} />
              {key.label} <span className="dim num">{format.count(key.count)}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

const hoverFields = 4;

function hoverText(point: Sampled): string {
  const lines = Object.entries(point.payload)
    .slice(0, hoverFields)
    .map(([key, value]) => `${key}: ${shortValue(value).slice(0, 60)}`);
  return [point.id.slice(0, 80), ...lines].join('\n');
}
