// All collections of the caller: find, create, open.
import { Button, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';
import { collectionNames } from '../api/queries';
import { CollectionTable } from '../components/collection-table';
import { CreateCollection } from '../components/create-collection';
import { IconPlus } from '../components/icons';
import { Pages } from '../components/pages';
import { css, Empty, Loaded, Page, Panel } from '../components/ui';
import * as format from '../lib/format';

const pageSize = 25;

export default function Collections() {
  const names = useQuery(collectionNames);
  const [params, setParams] = useSearchParams();
  const creating = params.has('create');
  const setCreating = (open: boolean) => setParams(open ? { create: '1' } : {}, { replace: true });
  const create = (
    <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)}>
      Create collection
    </Button>
  );
  return (
    <Page title="Collections" actions={create}>
      <Panel flush>
        <Loaded query={names} rows={6}>
          {(data) =>
            data.collections.length === 0 ? (
              <Empty title="No collection yet">
                A collection holds points of one dimension and distance. Create one here, or with a single request to the API.
              </Empty>
            ) : (
              <Listing names={data.collections} />
            )
          }
        </Loaded>
      </Panel>
      <CreateCollection opened={creating} onClose={() => setCreating(false)} />
    </Page>
  );
}

function Listing({ names }: { names: string[] }) {
  const [search, setSearch] = useState('');
  const [page, setPage] = useState(0);
  const found = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    return wanted === '' ? names : names.filter((name) => name.toLowerCase().includes(wanted));
  }, [names, search]);
  const last = Math.max(0, Math.ceil(found.length / pageSize) - 1);
  const at = Math.min(page, last);
  return (
    <>
      <div className={css.panelHead}>
        <TextInput
          aria-label="Find a collection"
          placeholder="Find by name"
          value={search}
          onChange={(event) => {
            setSearch(event.currentTarget.value);
            setPage(0);
          }}
          style={{ flex: '1 1 200px', maxWidth: 360 }}
        />
        <span className="dim small num">
          {found.length === names.length
            ? format.countOf(names.length, 'collection')
            : `${format.count(found.length)} of ${format.count(names.length)}`}
        </span>
      </div>
      {found.length === 0 ? (
        <Empty title={`No collection has “${search.trim()}” in its name`} />
      ) : (
        <CollectionTable names={found.slice(at * pageSize, (at + 1) * pageSize)} />
      )}
      {last > 0 && <Pages page={at} pages={last + 1} onPage={setPage} />}
    </>
  );
}
