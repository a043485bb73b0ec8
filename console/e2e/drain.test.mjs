// Taking a worker of a cluster out of service and back, with what the pages show meanwhile.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertAccessible, assertBehaved } from './checks.mjs';
import { api, closeBrowser, fill, openPage, shoot, startCluster, startFront, test, until, visit } from './harness.mjs';

const points = 300;
let cluster;
let front;

before(async () => {
  cluster = await startCluster(['--workers', '4']);
  front = await startFront(() => cluster.url);
  await fill(cluster, 'docs', { count: points, shardCount: 6, replicationFactor: 3 });
});

after(async () => {
  await closeBrowser();
  await front?.stop();
  await cluster?.stop();
});

const shards = async () => (await api(cluster, 'GET', '/v1/collections/docs/status')).shards;
const heldBy = async (id) => (await shards()).filter((shard) => shard.replicas.map(String).includes(id)).length;

// Keeps the numbers of shards left that the page shows, as they come.
const watch = (page) =>
  page.evaluate(() => {
    window.left = [];
    const look = () => {
      const said = document.body.innerText.match(/Draining: (\d+) shards? left|(Drained): it holds no shards/);
      const left = said && Number(said[1] ?? 0);
      if (said && left !== window.left.at(-1)) window.left.push(left);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  });

test('a worker is drained with progress, taken back, and given its share again', async () => {
  const id = await until('a leader', async () => [(await shards())[0].leaderId].map(String).find((leader) => leader !== '0'));
  const held = await until('its shards', () => heldBy(id));
  const { page, misdeeds, close } = await openPage(`${front.url}#/workers/${id}`, { allow: /status of 50[34]/ });
  await page.getByRole('row', { name: /docs/ }).first().waitFor();
  await watch(page);
  await page.getByRole('button', { name: 'Drain', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
  await page.getByText(`Worker ${id} is being drained: ${held} shards to move`).waitFor();
  await page.getByText(/^Draining: \d+ shards? left\.$/).waitFor();
  await shoot(page, 'drain');
  await assertAccessible(page, 'a worker that is drained');
  await page.getByText('Drained: it holds no shards.').waitFor();
  await page.getByText('This worker holds no shards').waitFor();
  const left = await page.evaluate(() => window.left);
  console.log(`shards left, as shown: ${left.join(', ')}`);
  assert.deepEqual([left[0] > 0, left.at(-1)], [true, 0]);
  assert.deepEqual(left, [...left].sort((a, b) => b - a), 'a drain that goes backwards');
  assert.equal(await heldBy(id), 0);
  for (const shard of await shards()) assert.equal(shard.replicas.length, 3);
  await until('all points', async () => (await api(cluster, 'GET', '/v1/collections/docs/status')).pointCount === String(points));

  await page.getByRole('button', { name: 'Stop draining' }).click();
  await page.getByText(`Worker ${id} takes shards again`).waitFor();
  await page.getByRole('button', { name: 'Drain', exact: true }).waitFor();

  await visit(page, front, '/placement', 'Placement');
  await page.getByRole('button', { name: /^Plan/ }).click();
  await page.getByRole('cell', { name: `worker ${id}`, exact: true }).first().waitFor();
  await page.getByRole('button', { name: /^Start \d+ moves?$/ }).click();
  await page.getByText(/^Begun: \d+ moves?$/).waitFor();
  // Asked again: a wish ends with the first look at which nothing can be moved.
  await until('a share of the shards', async () => (await api(cluster, 'POST', '/v1/admin/rebalance', { dryRun: false })) && heldBy(id));
  assertBehaved(misdeeds, 'a drain');
  await close();
});
