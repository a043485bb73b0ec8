// One point, whole.
import { Button, Drawer, Stack } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client';
import { Confirm } from '../../components/dialogs';
import { IconEdit, IconSimilar, IconTrash } from '../../components/icons';
import { useToasts } from '../../components/toasts';
import { Facts, Json, Loaded } from '../../components/ui';
import { previewVector } from '../../lib/vector';
import css from './explore.module.css';

interface Props {
  collection: string;
  id: string | null; // null: closed
  onClose: () => void;
  onSimilar: (id: string) => void;
  onEdit: (id: string) => void;
}

export const pointQuery = (collection: string, id: string) => ({
  queryKey: ['point', collection, id],
  queryFn: ({ signal }: { signal: AbortSignal }) => call('Get', { collection, id }, { signal }),
  enabled: id !== '',
});

export function PointView(props: Props) {
  return (
    <Drawer opened={props.id !== null} onClose={props.onClose} position="right" size={520} title={<span className="mono wrap-anywhere">{props.id}</span>}>
      {props.id !== null && <Body {...props} id={props.id} />}
    </Drawer>
  );
}

function Body({ collection, id, onClose, onSimilar, onEdit }: Props & { id: string }) {
  const point = useQuery(pointQuery(collection, id));
  const [asking, setAsking] = useState(false);
  const client = useQueryClient();
  const toasts = useToasts();
  const remove = useMutation({
    mutationFn: () => call('Delete', { collection, id }),
    onSuccess: async () => {
      toasts.say(`Point ${id} was deleted`);
      onClose();
      await client.invalidateQueries({ queryKey: ['points', collection] });
      await client.invalidateQueries({ queryKey: ['collection', collection] });
    },
    onError: (error) => toasts.fail('The point was not deleted', error),
  });
  return (
    <Loaded query={point} rows={5}>
      {(data) => (
        <Stack>
          <div className={css.rowActions}>
            <Button size="xs" leftSection={<IconSimilar size={16} />} onClick={() => onSimilar(id)}>
              Find similar
            </Button>
            <Button size="xs" variant="default" leftSection={<IconEdit size={16} />} onClick={() => onEdit(id)}>
              Edit
            </Button>
            <Button size="xs" variant="default" leftSection={<IconTrash size={16} />} onClick={() => setAsking(true)}>
              Delete
            </Button>
          </div>
          <Facts
            facts={[
              { label: 'Version', value: data.point?.version },
              { label: 'Components', value: data.point?.vector.length },
            ]}
          />
          <h3 className="small" style={{ margin: 0 }}>
            Payload
          </h3>
          <Json value={data.point?.payload ?? {}} />
          <h3 className="small" style={{ margin: 0 }}>
            Vector
          </h3>
          <p className="mono wrap-anywhere" style={{ margin: 0 }}>
            {previewVector(data.point?.vector ?? [], 64)}
          </p>
          <Confirm
            opened={asking}
            title="Delete point"
            act="Delete"
            danger
            busy={remove.isPending}
            onClose={() => setAsking(false)}
            onConfirm={() => remove.mutate()}
          >
            <span className="mono">{id}</span> will be gone. This cannot be undone.
          </Confirm>
        </Stack>
      )}
    </Loaded>
  );
}
