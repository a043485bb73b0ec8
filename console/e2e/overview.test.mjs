// The overview of a server that has work to do. Its screenshot is the one of the README.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertAccessible, assertBehaved } from './checks.mjs';
import { api, closeBrowser, fill, openPage, shoot, startFront, startVectron, test, until } from './harness.mjs';

const samples = 24;
let server;
let front;

before(async () => {
  // Full disks of the machine at hand raise no alert here.
  server = await startVectron(['--auth', 'off', '--sample-interval-ms', '500', '--alert-disk-percent', '100', '--alert-memory-percent', '100']);
  front = await startFront(() => server.url, '/vectron/');
  await fill(server, 'articles', { dimension: 32, count: 1200 });
  await fill(server, 'docs');
  await fill(server, 'tickets', { dimension: 8, count: 500, distance: 'euclidean' });
  await work();
});

after(async () => {
  await closeBrowser();
  await front?.stop();
  await server?.stop();
});

// Searches and writes in waves, until there are figures of some seconds to draw.
async function work() {
  const { point } = await api(server, 'GET', '/v1/collections/docs/points/doc-0003');
  for (let wave = 1; ; wave += 1) {
    for (let i = 0; i < 20 + (wave % 5) * 10; i += 1) await api(server, 'POST', '/v1/collections/docs/points/search', { vector: point.vector, topK: 10 });
    await api(server, 'POST', '/v1/collections/docs/points', { points: [{ ...point, version: undefined }] });
    if ((await api(server, 'GET', '/v1/admin/series?windowSeconds=900')).points.length >= samples) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('the figures stand in full rows', async () => {
  for (const [width, rows] of [[1440, [8]], [1280, [4, 4]], [700, [4, 4]]]) {
    const { page, close } = await openPage(front.url, { width });
    const tiles = page.getByText('Server errors', { exact: true }).locator('xpath=../..').locator('> div');
    await page.getByText('Storage', { exact: true }).waitFor();
    await until('the figures', async () => (await page.getByRole('status', { name: 'Loading' }).count()) === 0);
    const tops = await tiles.evaluateAll((all) => all.map((each) => each.getBoundingClientRect().top));
    assert.deepEqual([...new Set(tops)].map((top) => tops.filter((each) => each === top).length), rows, `at ${width} px`);
    await close();
  }
});

test('the overview shows the true figures, in light and dark', async () => {
  const { metrics } = await api(server, 'GET', '/v1/system/health');
  assert.equal(metrics.total_vectors, 2000);
  for (const scheme of ['light', 'dark']) {
    const { page, misdeeds, close } = await openPage('about:blank', { scheme });
    await page.goto(front.url);
    await page.getByText('Vectors', { exact: true }).first().waitFor();
    await page.getByText('2,000', { exact: true }).first().waitFor();
    for (const [name, count] of [['articles', '1,200'], ['docs', '300'], ['tickets', '500']]) {
      await page.getByRole('row').filter({ has: page.getByRole('link', { name }) }).getByText(count, { exact: true }).waitFor();
    }
    for (const title of ['Requests', 'Latency', 'Errors', 'Vectors', 'Memory of the workers', 'Processors of the workers']) {
      await page.getByRole('img', { name: new RegExp(`^${title} over time`) }).locator('canvas').waitFor();
    }
    await assertAccessible(page, `the overview in ${scheme}`);
    await shoot(page, `overview-${scheme}`);
    assertBehaved(misdeeds, 'the overview');
    await close();
  }
});
