// The points of a collection: browse and filter, search, see them in a plane, write and delete.
import { Button, Select, Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { collectionNames, collectionStatus } from '../api/queries';
import { collectionPath } from '../components/collection-table';
import { IconPlus } from '../components/icons';
import { Empty, Failure, Loaded, Loading, Page, Panel } from '../components/ui';
import * as format from '../lib/format';
import { Browse } from './explore/browse';
import css from './explore/explore.module.css';
import { PointEditor } from './explore/point-editor';
import { PointView } from './explore/point-view';
import { ProjectionMap } from './explore/projection-map';
import { Search } from './explore/search';

const mostListed = 100;

export default function Explore() {
  const names = useQuery(collectionNames);
  const [params, setParams] = useSearchParams();
  const all = names.data?.collections ?? [];
  const chosen = params.get('collection') ?? all[0] ?? '';
  return (
    <Page title="Explore">
      <Loaded query={names} rows={1} height={36}>
        {() =>
          chosen === '' ? (
            <Panel flush>
              <Empty
                title="There is nothing to explore yet"
                action={
                  <Button component={Link} to="/collections?create=1" size="xs" mt={6}>
                    Create a collection
                  </Button>
                }
              >
                Points live in collections, and there is none.
              </Empty>
            </Panel>
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
              <Room key={chosen} name={chosen} />
            </>
          )
        }
      </Loaded>
    </Page>
  );
}

// Everything about one collection. A search keeps its place while another tab is looked at.
function Room({ name }: { name: string }) {
  const status = useQuery(collectionStatus(name));
  const [params, setParams] = useSearchParams();
  const [open, setOpen] = useState<string | null>(null); // id of the point that is shown
  const [editing, setEditing] = useState<{ id: string } | null>(null); // '' : a new one
  if (!status.data) {
    return (
      <Panel flush>
        {status.error ? <Failure error={status.error} onRetry={() => void status.refetch()} /> : <Loading rows={4} />}
      </Panel>
    );
  }
  const { dimension, distance, pointCount } = status.data;
  const tab = params.get('tab') ?? 'browse';
  const set = (change: Record<string, string>) => setParams({ collection: name, tab, ...change });
  const similar = (id: string) => {
    setOpen(null);
    set({ tab: 'search', like: id });
  };
  return (
    <>
      <div className={css.about}>
        <Link to={collectionPath(name)} className="dim num">
          {format.countOf(pointCount, 'point')}, dimension {format.count(dimension)}, {distance}
        </Link>
        <Button size="xs" variant="default" leftSection={<IconPlus size={14} />} onClick={() => setEditing({ id: '' })}>
          Add point
        </Button>
      </div>
      <Tabs value={tab} onChange={(next) => next && set({ tab: next })} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="browse">Browse</Tabs.Tab>
          <Tabs.Tab value="search">Search</Tabs.Tab>
          <Tabs.Tab value="map">Map</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="browse" pt="md">
          <Browse collection={name} onOpen={setOpen} onSimilar={similar} onAdd={() => setEditing({ id: '' })} />
        </Tabs.Panel>
        <Tabs.Panel value="search" pt="md">
          <Search
            key={params.get('like') ?? ''}
            collection={name}
            dimension={dimension}
            distance={distance}
            like={params.get('like') ?? ''}
            onOpen={setOpen}
            onSimilar={similar}
          />
        </Tabs.Panel>
        <Tabs.Panel value="map" pt="md">
          <ProjectionMap collection={name} dimension={dimension} onOpen={setOpen} />
        </Tabs.Panel>
      </Tabs>
      <PointView
        collection={name}
        id={open}
        onClose={() => setOpen(null)}
        onSimilar={similar}
        onEdit={(id) => {
          setOpen(null);
          setEditing({ id });
        }}
      />
      <PointEditor
        collection={name}
        dimension={dimension}
        opened={editing !== null}
        id={editing?.id ?? ''}
        onClose={() => setEditing(null)}
        onWritten={(id) => {
          setEditing(null);
          setOpen(id);
        }}
      />
    </>
  );
}
