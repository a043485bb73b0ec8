// What the console shows when things go wrong or get large.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertAccessible, assertFits } from './checks.mjs';
import { api, closeBrowser, fill, openPage, shoot, startFront, startVectron, test, visit } from './harness.mjs';

let server;
let front;
const failedLoads = /Failed to load resource/;
const longName = `L${'o'.repeat(126)}g`;

before(async () => {
  server = await startVectron();
  front = await startFront(() => server.url);
  await fill(server, 'docs', { dimension: 4, count: 20 });
  await fill(server, longName, { dimension: 4, count: 2 });
});

after(async () => {
  await closeBrowser();
  await front?.stop();
  await server?.stop();
});

const json = (body, status = 200) => ({ status, contentType: 'application/json', body: JSON.stringify(body) });

test('a server that goes away is said to be away, and comes back by itself', async () => {
  const { page, close } = await openPage(`${front.url}#/collections`, { allow: failedLoads });
  await page.getByRole('link', { name: 'docs' }).waitFor();
  const address = new URL(server.url).host;
  await server.kill();
  await page.getByText('The server does not answer. What you see is from before').waitFor();
  // What was there stays on screen.
  await page.getByRole('link', { name: 'docs' }).waitFor();
  await shoot(page, 'server-away');
  server = await startVectron(['--auth', 'off'], server.data, address);
  await page.locator('button[data-state=live]').waitFor();
  await close();
});

test('a console opened while the server is away waits for it', async () => {
  const { page, close } = await openPage('about:blank', { allow: failedLoads });
  await page.route('**/v1/**', (route) => route.abort());
  await page.goto(`${front.url}#/`);
  await page.getByText('The server does not answer').waitFor();
  await page.unroute('**/v1/**');
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await close();
});

test('a token that ends leads to the door, and back to where one was', async () => {
  const { page, close } = await openPage('about:blank', { allow: failedLoads });
  await page.route('**/v1/**', (route) => route.fulfill(json({ code: 16, message: 'the token has expired', details: [] }, 401)));
  // What this server says of itself at /, to programs.
  const isRoot = (url) => url.pathname === new URL(front.url).pathname;
  await page.route(isRoot, (route) =>
    route.request().headers().accept.includes('text/html') ? route.continue() : route.fulfill(json({ name: 'Vectron', credentials: 'required' })));
  await page.goto(front.url);
  await page.evaluate(() => sessionStorage.setItem('vectron.session', 'old'));
  await page.goto(`${front.url}?again#/collections`);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await assertAccessible(page, 'the door');
  await shoot(page, 'sign-in');
  await page.unroute('**/v1/**');
  await page.unroute(isRoot);
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Collections' }).waitFor();
  await close();
});

test('slow answers show that something is on its way, then the thing', async () => {
  const { page, close } = await openPage('about:blank', { allow: failedLoads });
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route('**/v1/collections/*/status', async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${front.url}#/collections/docs`);
  await page.getByRole('status', { name: 'Loading' }).waitFor();
  release();
  await page.getByText('20', { exact: true }).first().waitFor();
  await close();
});

test('ten thousand collections can be found and paged', async () => {
  const { page, close } = await openPage('about:blank', { allow: failedLoads });
  const collections = Array.from({ length: 10_000 }, (_, at) => `collection-${String(at).padStart(5, '0')}`);
  await page.route('**/v1/collections', (route) => route.fulfill(json({ collections })));
  await page.route('**/v1/collections/*/status', (route) => route.fulfill(json({ code: 5, message: 'collection does not exist', details: [] }, 404)));
  await page.goto(`${front.url}#/collections`);
  await page.getByText('10,000 collections').waitFor();
  await page.getByText('Page 1 of 400').waitFor();
  await page.getByLabel('Find a collection').fill('-09999');
  await page.getByText('1 of 10,000').waitFor();
  await page.getByRole('link', { name: 'collection-09999' }).waitFor();
  await page.goto(`${front.url}#/explore`);
  await page.getByRole('combobox', { name: 'Collection' }).click();
  await page.getByRole('combobox', { name: 'Collection' }).fill('-05000');
  await page.getByRole('option', { name: 'collection-05000' }).waitFor();
  await close();
});

test('the longest name and a payload of one MiB break nothing', async () => {
  await api(server, 'POST', '/v1/collections/docs/points', {
    points: [{ id: 'a-large', vector: [1, 2, 3, 4], payload: { text: 'lorem ipsum '.repeat(87_000) } }],
  });
  const { page, misdeeds, close } = await openPage(`${front.url}#/collections/${longName}`, { width: 360, height: 740, allow: failedLoads });
  await page.getByRole('heading', { name: longName }).waitFor();
  await assertFits(page, 'a collection with the longest name');
  await page.goto(`${front.url}#/explore?collection=docs`);
  await page.getByRole('button', { name: 'a-large', exact: true }).click();
  await page.getByRole('button', { name: /Show all 1,0\d\d,\d{3} characters/ }).waitFor();
  await assertFits(page, 'a large payload');
  await shoot(page, 'large-payload');
  assert.deepEqual(misdeeds, []);
  await api(server, 'DELETE', '/v1/collections/docs/points/a-large');
  await close();
});

test('a storm of a thousand alerts is paged', async () => {
  const { page, close } = await openPage('about:blank', { allow: failedLoads });
  const alerts = Array.from({ length: 1000 }, (_, at) => ({
    id: `a${at}`, level: ['critical', 'warning', 'info'][at % 3], title: `Alert ${at}`, message: 'Something was measured.', timestamp: 1.7e12 - at * 1000,
    resolved: false, source: `worker-${at}`, rule: 'worker_down', resolvedAt: 0, resolvedBy: '',
  }));
  await page.route('**/v1/system/health', (route) =>
    route.fulfill(json({ overall_status: 'critical', services: [], alerts: alerts.slice(0, 100), metrics: null, timestamp: 1.7e12 })));
  await page.route('**/v1/alerts?*', (route) => {
    const limit = Number(new URL(route.request().url()).searchParams.get('limit'));
    return route.fulfill(json({ alerts: alerts.slice(0, limit), count: Math.min(limit, 1000), total: 1000 }));
  });
  await page.goto(`${front.url}#/health`);
  await page.getByText('Alert 0', { exact: true }).waitFor();
  await page.getByText('Page 1 of 50').waitFor();
  await page.getByTitle('1000 active alerts').waitFor();
  assert.ok((await page.getByRole('row').count()) <= 22);
  await assertAccessible(page, 'a storm of alerts');
  await shoot(page, 'alert-storm');
  await close();
});

test('who lacks the right is told who has it', async () => {
  const { page, close } = await openPage('about:blank', { allow: failedLoads });
  await page.route('**/v1/admin/**', (route) => route.fulfill(json({ code: 7, message: 'only administrators', details: [] }, 403)));
  for (const title of ['Gateway', 'Workers', 'Placement']) {
    await visit(page, front, `/${title.toLowerCase()}`, title);
    await page.getByText('You do not have the right to see this').first().waitFor();
  }
  await shoot(page, 'no-permission');
  await close();
});

test('a server without a part says so and shows no figures', async () => {
  const { page, close } = await openPage('about:blank', { allow: failedLoads });
  const missing = (route) => route.fulfill(json({ code: 5, message: 'there is no such path', details: [] }, 404));
  await page.route('**/v1/admin/**', missing);
  await page.route('**/v1/alerts*', missing);
  await page.route('**/v1/system/**', missing);
  for (const [place, title] of [['/', 'Overview'], ['/gateway', 'Gateway'], ['/workers', 'Workers'], ['/health', 'System health'], ['/ranking', 'Reranking']]) {
    await visit(page, front, place, title);
    await page.getByText('This server does not offer it').first().waitFor();
  }
  await close();
});
