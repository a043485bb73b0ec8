// What a newcomer does: runs the demo, opens the link that it prints, and looks at what was loaded. The demo starts the server
// over a data folder of its own and loads the small data set; the server shows the built console.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { assertAccessible, assertBehaved } from './checks.mjs';
import { api, closeBrowser, dist, openPage, program, root, shoot, test, until } from './harness.mjs';

const collection = 'debian-packages';
const set = join(root, 'examples', 'data', 'debian-packages-2k');
const data = mkdtempSync(join(tmpdir(), 'vectron-console-'));
let out; // what the demo printed
let link; // to the console, as printed
let server;

before(async () => {
  const words = ['--data', data, '--http', '127.0.0.1:0', '--grpc', '127.0.0.1:0', '--bin', dirname(program), '--set', set, '--seconds', '0.2'];
  const options = { env: { ...process.env, VECTRON_CONSOLE: dist }, timeout: 120_000 };
  out = (await promisify(execFile)('python3', ['-B', join(root, 'tools', 'demo'), ...words], options)).stdout;
  link = /^Console: (http:\/\/\S+)\/$/m.exec(out)?.[1];
  assert.ok(link, `the demo prints no link to the console:\n${out}`);
  server = { url: link };
});

after(async () => {
  await closeBrowser();
  await endServer();
  rmSync(data, { recursive: true, force: true });
});

// The demo leaves its server running: none when it did not come as far.
async function endServer() {
  let pid;
  try {
    pid = JSON.parse(readFileSync(join(data, 'server.json'), 'utf8')).pid;
    process.kill(pid, 'SIGTERM');
  } catch {
    return;
  }
  // It is nobody's child here: gone, or a process that only waits to be counted.
  const isGone = () => {
    try {
      return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return true;
    }
  };
  await until('the end of the server', isGone);
}

// Rows of the file that the demo loads.
const rowsOfSet = () => gunzipSync(readFileSync(join(set, 'payload.jsonl.gz'))).toString().trimEnd().split('\n').length;

test('the link of the demo opens the console without a login, with the true number of points', async () => {
  const { page, misdeeds, close } = await openPage(`${link}/`);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  assert.equal(await page.getByLabel('Password').count(), 0);

  const rows = rowsOfSet();
  const { pointCount } = await api(server, 'GET', `/v1/collections/${collection}/status`);
  assert.equal(Number(pointCount), rows);
  const shown = rows.toLocaleString('en-US');
  await page.getByRole('row').filter({ has: page.getByRole('link', { name: collection }) }).getByText(shown, { exact: true }).waitFor();
  await page.getByRole('link', { name: collection }).click();
  await page.getByRole('heading', { level: 1, name: collection }).waitFor();
  await page.getByText('All points are indexed.').waitFor();
  assert.equal(await page.getByText('Points', { exact: true }).locator('xpath=..').getByText(shown, { exact: true }).count(), 1);
  await shoot(page, 'demo-collection');
  assertBehaved(misdeeds, 'the demo’s console');
  await close();
});

test('a search by a point of the demo finds what the API finds', async () => {
  const { page, misdeeds, close } = await openPage(`${link}/`);
  await page.getByRole('link', { name: 'Explore', exact: true }).click();
  const first = page.getByRole('region', { name: 'Points' }).getByRole('row').nth(1).getByRole('button').first();
  const id = await first.innerText();
  await page.getByRole('tab', { name: 'Search' }).click();
  await page.getByText('By point', { exact: true }).click();
  await page.getByLabel('Point id').fill(id);
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByRole('heading', { name: '10 results' }).waitFor();

  const { point } = await api(server, 'GET', `/v1/collections/${collection}/points/${encodeURIComponent(id)}`);
  const wanted = await api(server, 'POST', `/v1/collections/${collection}/points/search`, { vector: point.vector, topK: 10 });
  assert.equal(wanted.results[0].id, id);
  const hits = page.getByRole('main').locator('ol > li');
  assert.deepEqual(await hits.evaluateAll((all) => all.map((hit) => hit.querySelector('button').innerText)), wanted.results.map((hit) => hit.id));
  await hits.first().getByText('searched by', { exact: true }).waitFor();
  await hits.first().getByText(point.payload.name, { exact: false }).first().waitFor();
  await assertAccessible(page, 'a search of the demo');
  await shoot(page, 'demo-search');
  assertBehaved(misdeeds, 'a search of the demo');
  await close();
});

test('the health of the demo’s server is shown as the API tells it', async () => {
  const { page, misdeeds, close } = await openPage(`${link}/`);
  await page.getByRole('link', { name: 'System health' }).click();
  await page.getByRole('heading', { level: 1, name: 'System health' }).waitFor();
  // A full disk of the machine at hand may degrade it at any moment: both are asked until they agree.
  const state = page.getByText('State', { exact: true }).first().locator('xpath=../div[2]');
  await until('the state of the API', async () => {
    const health = await api(server, 'GET', '/v1/system/health');
    return (await state.innerText()).toLowerCase() === health.overall_status;
  });
  const { services, metrics } = await api(server, 'GET', '/v1/system/health');
  assert.equal(metrics.active_workers, 1);
  for (const { name, status, endpoint } of services) {
    assert.equal(status, 'up', name);
    await page.getByRole('row').filter({ hasText: name }).filter({ hasText: endpoint }).getByText('Up', { exact: true }).waitFor();
  }
  assertBehaved(misdeeds, 'the health of the demo');
  await shoot(page, 'demo-health');
  await close();
});
