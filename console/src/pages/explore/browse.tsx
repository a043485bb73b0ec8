// Points page by page in the order of their ids.
import { ActionIcon, Button } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client';
import type { FilterInput, ScrollResponse } from '../../api/generated';
import { IconSimilar } from '../../components/icons';
import { css as ui, Empty, Loaded, Panel, Table } from '../../components/ui';
import css from './explore.module.css';
import { FilterEditor, filterIn, noFilter } from './filter-editor';
import { PayloadPreview } from './payload-preview';

const pageSize = 25;
const mostCalls = 20;

// One page of the points that pass. The server may answer with fewer than asked for, or none, before the end: it is asked on.
async function pageOf(collection: string, afterId: string, filter: FilterInput | undefined, signal: AbortSignal) {
  const page: ScrollResponse = { points: [], nextAfterId: afterId };
  for (let calls = 0; calls < mostCalls; calls += 1) {
    const limit = pageSize - page.points.length;
    const part = await call('ScrollPoints', { collection, afterId: page.nextAfterId, limit, filter }, { signal });
    page.points.push(...part.points);
    page.nextAfterId = part.nextAfterId;
    if (part.nextAfterId === '' || page.points.length >= pageSize) break;
  }
  return page;
}

interface Props {
  collection: string;
  onOpen: (id: string) => void;
  onSimilar: (id: string) => void;
  onAdd: () => void;
}

export function Browse({ collection, onOpen, onSimilar, onAdd }: Props) {
  const [editor, setEditor] = useState(noFilter);
  const [trail, setTrail] = useState<string[]>(['']); // where each page begins
  const { filter, problem } = filterIn(editor);
  const after = trail.at(-1) ?? '';
  const points = useQuery({
    queryKey: ['points', collection, after, filter ?? null],
    queryFn: ({ signal }) => pageOf(collection, after, filter, signal),
    enabled: problem === undefined,
    placeholderData: keepPreviousData,
    meta: { live: true },
  });
  const next = points.data?.nextAfterId ?? '';
  return (
    <Panel flush>
      <div className={ui.panelHead} style={{ display: 'block' }}>
        <FilterEditor
          state={editor}
          onChange={(state) => {
            setEditor(state);
            setTrail(['']);
          }}
        />
      </div>
      <Loaded query={points} rows={8}>
        {(data) =>
          data.points.length === 0 ? (
            <Empty
              title={filter ? 'No point passes the filter' : 'This collection is empty'}
              action={
                filter ? undefined : (
                  <Button size="xs" mt={6} onClick={onAdd}>
                    Add the first point
                  </Button>
                )
              }
            >
              {next ? 'None among those looked at so far: go on with Next.' : undefined}
            </Empty>
          ) : (
            <Rows points={data.points} onOpen={onOpen} onSimilar={onSimilar} />
          )
        }
      </Loaded>
      <nav className={ui.panelHead} aria-label="Pages" style={{ borderTop: '1px solid var(--line)', borderBottom: 0 }}>
        <Button size="xs" variant="default" disabled={trail.length === 1} onClick={() => setTrail(trail.slice(0, -1))}>
          Previous
        </Button>
        <span className="dim small num">Page {trail.length}</span>
        <Button size="xs" variant="default" disabled={next === ''} onClick={() => setTrail([...trail, next])}>
          Next
        </Button>
      </nav>
    </Panel>
  );
}

function Rows({ points, onOpen, onSimilar }: Pick<Props, 'onOpen' | 'onSimilar'> & { points: ScrollResponse['points'] }) {
  return (
    <Table
      label="Points"
      head={
        <>
          <th>Id</th>
          <th>Payload</th>
          <th className={ui.right}>Version</th>
          <th>
            <span className="dim">Similar</span>
          </th>
        </>
      }
    >
      {points.map((point) => (
        <tr key={point.id}>
          <td style={{ minWidth: 132, maxWidth: 280 }}>
            <button type="button" className={css.idButton} onClick={() => onOpen(point.id)}>
              {point.id}
            </button>
          </td>
          <td>
            <PayloadPreview payload={point.payload} />
          </td>
          <td className={ui.right}>{point.version}</td>
          <td>
            <ActionIcon size="sm" variant="subtle" aria-label={`Find points like ${point.id}`} onClick={() => onSimilar(point.id)}>
              <IconSimilar />
            </ActionIcon>
          </td>
        </tr>
      ))}
    </Table>
  );
}
