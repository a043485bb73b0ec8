import { Anchor } from '@mantine/core';
import { Link } from 'react-router';
import { Empty, Page, Panel } from '../components/ui';

export default function NotFound() {
  return (
    <Page title="No such page">
      <Panel flush>
        <Empty
          title="There is nothing at this address"
          action={
            <Anchor component={Link} to="/">
              Go to the overview
            </Anchor>
          }
        />
      </Panel>
    </Page>
  );
}
