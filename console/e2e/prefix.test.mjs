// The built console as the gateway itself serves it: below a path prefix, at deep paths, and after a reload.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { closeBrowser, dist, fill, openPage, startProxy, startVectron, test } from './harness.mjs';

let plain, told;
before(async () => {
  plain = await startVectron(['--auth', 'off', '--console', dist]);
  told = await startVectron(['--auth', 'off', '--console', dist, '--console-prefix', '/fixed']);
  for (const server of [plain, told]) await fill(server, 'docs', { count: 20 });
});
after(async () => {
  await closeBrowser();
  await plain?.stop();
  await told?.stop();
});

async function works(url) {
  const { page, misdeeds, close } = await openPage(`${url}/collections/docs`);
  const shown = () => page.getByRole('heading', { level: 1, name: 'docs', exact: true }).waitFor();
  await shown();
  assert.equal(page.url(), `${url}/#/collections/docs`);
  await page.reload();
  await shown();
  await page.getByRole('link', { name: 'System health' }).first().click();
  await page.getByRole('heading', { level: 1, name: 'System health', exact: true }).waitFor();
  assert.equal(page.url(), `${url}/#/health`);
  assert.deepEqual(misdeeds, []);
  await close();
}

test('a deep path is shown at the root', () => works(plain.url));

test('a deep path is shown below a prefix that nobody told', async () => {
  const proxy = await startProxy(() => plain.url, '/tools/vectron');
  await works(proxy.url);
  await proxy.stop();
});

test('a deep path is shown below the prefix that a proxy tells', async () => {
  const proxy = await startProxy(() => plain.url, '/tools/vectron', { 'x-forwarded-prefix': '/tools/vectron' });
  await works(proxy.url);
  await proxy.stop();
});

test('a deep path is shown below the prefix of the configuration', async () => {
  const proxy = await startProxy(() => told.url, '/fixed');
  await works(proxy.url);
  await proxy.stop();
});
