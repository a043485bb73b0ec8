import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useSearchParams } from 'react-router';
import { collectionNames } from '../api/queries';
import { Loaded, Panel } from './ui';

const mostListed = 100;

// What a page says of one collection, and which one: the address names it. `empty` stands there when there is none.
export function OneCollection({ empty, children }: { empty: ReactNode; children: (name: string) => ReactNode }) {
  const names = useQuery(collectionNames);
  const [params, setParams] = useSearchParams();
  const all = names.data?.collections ?? [];
  const chosen = params.get('collection') ?? all[0] ?? '';
  return (
    <Loaded query={names} rows={1} height={36}>
      {() =>
        chosen === '' ? (
          <Panel flush>{empty}</Panel>
        ) : (
          <>
            <Select
              label="Collection"
              data={all.includes(chosen) ? all : [chosen, ...all]}
              limit={mostListed}
              value={chosen}
              onChange={(name) => name && setParams({ collection: name })}
              searchable
              allowDeselect={false}
              nothingFoundMessage="No collection of that name"
              style={{ maxWidth: 420 }}
            />
            {children(chosen)}
          </>
        )
      }
    </Loaded>
  );
}
