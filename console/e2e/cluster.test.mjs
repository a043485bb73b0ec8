// What the cluster's pages show of a real server.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertAccessible, assertBehaved } from './checks.mjs';
import { api, closeBrowser, dist, fill, openPage, shoot, startFront, startVectron, test } from './harness.mjs';

let server;
let front;

before(async () => {
  // A disk that is a hundredth full raises an alert: there is one to resolve, and no other, however busy the machine is.
  const quiet = ['--alert-memory-percent', '100', '--alert-latency-ms', '100000'];
  server = await startVectron(['--auth', 'off', '--alert-disk-percent', '1', ...quiet, '--sample-interval-ms', '500', '--console', dist]);
  front = await startFront(() => server.url, '/vectron/');
  await fill(server, 'docs');
});

after(async () => {
  await closeBrowser();
  await front?.stop();
  await server?.stop();
});

test('the gateway’s endpoints are those that were asked', async () => {
  const { page, misdeeds, close } = await openPage(`${front.url}#/gateway`);
  await page.getByText('/v1/collections/{collection}/points', { exact: true }).waitFor();
  await page.getByLabel('Find an endpoint').fill('no such thing');
  await page.getByText('No endpoint of that name').waitFor();
  await page.getByLabel('Find an endpoint').fill('');
  await page.getByRole('button', { name: 'Average' }).click();
  await shoot(page, 'gateway');
  await assertAccessible(page, 'the gateway');
  assertBehaved(misdeeds, 'the gateway');
  await close();
});

test('the worker shows its shards, and says why it cannot be drained alone', async () => {
  const { page, close } = await openPage(`${front.url}#/workers`, { allow: /status of 4/ });
  await page.getByRole('link', { name: 'Details' }).click();
  await page.getByRole('row', { name: /docs/ }).waitFor();
  await shoot(page, 'worker');
  await assertAccessible(page, 'a worker');
  await page.getByText('no other worker could take its shards').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Drain' }).isDisabled());
  await close();
});

test('placement shows the shards and plans before it moves', async () => {
  const { page, close } = await openPage(`${front.url}#/placement`, { allow: /status of (4|5)/ });
  await page.getByRole('button', { name: '1 shards of docs' }).click();
  await page.getByText('worker 1').first().waitFor();
  await page.getByRole('button', { name: /^Plan/ }).click();
  await page.getByText('there is nothing to move').waitFor();
  await shoot(page, 'placement');
  await assertAccessible(page, 'placement');
  await close();
});

test('moves in flight are shown until they have ended', async () => {
  const { page, misdeeds, close } = await openPage('about:blank');
  let moving = true;
  await page.route('**/v1/admin/collections', async (route) => {
    const answer = await route.fetch();
    const json = await answer.json();
    const move = { shard_id: 0, from_worker: 'worker-1', to_worker: 'worker-2', reason: 'drain', stage: 'copying', since: Date.now() };
    json.collections[0].moves = moving ? [move, { ...move, from_worker: '', reason: 'repair', to_worker: 'worker-3' }] : [];
    await route.fulfill({ response: answer, json });
  });
  await page.goto(`${front.url}#/placement`);
  await page.getByRole('heading', { name: 'Moves in flight: 2' }).waitFor();
  await page.getByRole('row', { name: /docs 0 worker 1 worker 2 copying drain/ }).waitFor();
  await page.getByRole('row', { name: /docs 0 a copy is added worker 3 copying repair/ }).waitFor();
  await shoot(page, 'moves');
  await assertAccessible(page, 'moves in flight');
  moving = false; // the next live update asks again
  await page.getByRole('heading', { name: /^Moves in flight/ }).waitFor({ state: 'detached' });
  assertBehaved(misdeeds, 'moves in flight');
  await close();
});

test('an alert that was measured is shown, resolved and kept', async () => {
  const { page, misdeeds, close } = await openPage(`${front.url}#/health`);
  await page.getByRole('cell', { name: 'gateway' }).waitFor();
  await page.getByText('Degraded').first().waitFor();
  const resolve = page.getByRole('button', { name: /^Resolve: / });
  await resolve.first().waitFor();
  await shoot(page, 'health');
  await assertAccessible(page, 'health');
  const before = (await api(server, 'GET', '/v1/alerts?status=active')).count;
  await resolve.first().click();
  await page.getByText('The alert is resolved').waitFor();
  assert.equal((await api(server, 'GET', '/v1/alerts?status=active')).count, before - 1);
  await page.getByText('Resolved', { exact: true }).click();
  await page.getByText(/^Resolved .* by /).first().waitFor();
  assertBehaved(misdeeds, 'health');
  await close();
});

test('the API page lists the routes of this server', async () => {
  const { page, misdeeds, close } = await openPage(`${front.url}#/api`);
  await page.getByText('/v1/collections/{collection}/points/search').click();
  await page.getByRole('cell', { name: 'topK', exact: true }).first().waitFor();
  await shoot(page, 'api');
  await assertAccessible(page, 'the API page');
  assertBehaved(misdeeds, 'the API page');
  await close();
});

test('the gateway serves the console itself, compressed, under a strict policy', async () => {
  const { page, misdeeds, close } = await openPage('about:blank');
  const answers = [];
  page.on('response', (answer) => answers.push(answer));
  await page.goto(`${server.url}/#/collections`);
  await page.getByRole('link', { name: 'docs' }).waitFor();
  assertBehaved(misdeeds, 'the console from the gateway');
  const files = answers.filter((answer) => new URL(answer.url()).pathname.startsWith('/assets/'));
  const scripts = files.filter((answer) => answer.url().endsWith('.js'));
  assert.ok(scripts.length > 2);
  for (const answer of scripts.filter((each) => Number(each.headers()['content-length']) > 2000)) {
    assert.match(answer.headers()['content-encoding'] ?? 'none', /br|gzip/, answer.url());
  }
  for (const answer of files) assert.match(answer.headers()['cache-control'], /immutable/, answer.url());
  const policy = answers[0].headers()['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  await close();
});
