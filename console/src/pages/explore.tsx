// The points of a collection: browse and filter, search, see them in a plane, write and delete.
import { Button, Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import type { GetCollectionStatusResponse } from '../api/generated';
import { collectionStatus } from '../api/queries';
import { collectionPath } from '../components/collection-table';
import { IconPlus } from '../components/icons';
import { OneCollection } from '../components/one-collection';
import { Empty, Failure, Loading, Page, Panel } from '../components/ui';
import * as format from '../lib/format';
import { Browse } from './explore/browse';
import css from './explore/explore.module.css';
import { PointEditor } from './explore/point-editor';
import { PointView } from './explore/point-view';
import { ProjectionMap } from './explore/projection-map';
import { Search } from './explore/search';

export default function Explore() {
  return (
    <Page title="Explore">
      <OneCollection
        empty={
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
        }
      >
        {(name) => <Room key={name} name={name} />}
      </OneCollection>
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
  const { dimension, distance } = status.data;
  const tab = params.get('tab') ?? 'browse';
  const set = (change: Record<string, string>) => setParams({ collection: name, tab, ...change });
  const similar = (id: string) => {
    setOpen(null);
    set({ tab: 'search', like: id });
  };
  return (
    <>
      <About name={name} status={status.data} onAdd={() => setEditing({ id: '' })} />
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

function About({ name, status, onAdd }: { name: string; status: GetCollectionStatusResponse; onAdd: () => void }) {
  return (
    <div className={css.about}>
      <Link to={collectionPath(name)} className="dim num">
        {format.countOf(status.pointCount, 'point')}, dimension {format.count(status.dimension)}, {status.distance}
      </Link>
      <Button size="xs" variant="default" leftSection={<IconPlus size={14} />} onClick={onAdd}>
        Add point
      </Button>
    </div>
  );
}
