// Collections and points, against a real server that asks for no credentials, behind a path prefix.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertAccessible, assertBehaved, assertFits } from './checks.mjs';
import { api, closeBrowser, fill, openPage, shoot, startFront, startVectron, test, until, visit } from './harness.mjs';

let server;
let front;

before(async () => {
  server = await startVectron();
  front = await startFront(() => server.url, '/some/prefix/');
  await fill(server, 'docs');
});

after(async () => {
  await closeBrowser();
  await front?.stop();
  await server?.stop();
});

test('a collection is made with all options, shown and deleted by typing its name', async () => {
  const { page, misdeeds, close } = await openPage(`${front.url}#/collections`);
  await page.getByRole('button', { name: 'Create collection' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await dialog.getByText('Up to 128 letters').waitFor();
  await dialog.getByLabel('Name').fill('made-here');
  await dialog.getByLabel('Dimension').fill('4');
  await dialog.getByLabel('Distance').selectOption('euclidean');
  await dialog.getByRole('button', { name: 'Add index' }).click();
  await dialog.getByLabel('Field 1').fill('colour');
  await dialog.getByText('More options').click();
  await dialog.getByLabel('HNSW M').fill('8');
  await dialog.getByLabel('Vectors on disk').selectOption('VECTOR_STORAGE_F16');
  await dialog.getByLabel('Reranking candidates').fill('40');
  await dialog.getByLabel('Swap neighbours').uncheck();
  await shoot(page, 'create-collection');
  await assertAccessible(page, 'the form of a new collection');
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('heading', { name: 'made-here' }).waitFor();
  await page.getByText('16-bit floats').waitFor();
  const status = await api(server, 'GET', '/v1/collections/made-here/status');
  assert.equal(status.options.hnsw.m, 8);
  assert.equal(status.distance, 'euclidean');
  assert.equal(status.options.rerank.candidates, 40);
  assert.equal(status.options.rerank.explore, false);
  await page.getByText('Neighbours swapped to learn').waitFor();
  assert.deepEqual(status.options.payloadIndexes, [{ field: 'colour', type: 'KEYWORD' }]);
  await shoot(page, 'collection');
  await assertAccessible(page, 'a collection');

  await page.getByRole('button', { name: 'Delete' }).click();
  const confirm = page.getByRole('button', { name: 'Delete for good' });
  await page.getByLabel(/^Type/).fill('made-her');
  assert.equal(await confirm.isDisabled(), true);
  await page.getByLabel(/^Type/).fill('made-here');
  await confirm.click();
  await page.getByRole('heading', { name: 'Collections' }).waitFor();
  assert.deepEqual((await api(server, 'GET', '/v1/collections')).collections, ['docs']);
  assertBehaved(misdeeds, 'collections');
  await close();
});

test('points are written, browsed, filtered, changed and deleted', async () => {
  const { page, misdeeds, close } = await openPage(`${front.url}#/explore?collection=docs`);
  await page.getByRole('button', { name: 'doc-0000', exact: true }).waitFor();
  await shoot(page, 'browse');

  await page.getByRole('button', { name: 'Add filter' }).click();
  await page.getByLabel('Field 1').fill('section');
  await page.getByLabel('Value 1').fill('sound');
  await page.getByRole('button', { name: 'doc-0002', exact: true }).waitFor();
  await page.getByRole('button', { name: 'doc-0000', exact: true }).waitFor({ state: 'detached' });
  assert.equal(await page.getByRole('row').count(), 26);
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('Page 2').waitFor();
  await page.getByRole('button', { name: 'doc-0102', exact: true }).waitFor();

  await page.getByRole('button', { name: 'Add point' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Id').fill('ünïcode/id 1');
  await dialog.getByLabel('Vector').fill('1, 2');
  await dialog.getByRole('button', { name: 'Write point' }).click();
  await dialog.getByText('2 components; this collection wants 16.').waitFor();
  await dialog.getByRole('button', { name: 'Fill with a random direction' }).click();
  await dialog.getByLabel('Payload').fill('{"section": "made"}');
  await dialog.getByRole('button', { name: 'Write point' }).click();
  await page.getByRole('heading', { name: 'Payload' }).waitFor();
  const point = await api(server, 'GET', `/v1/collections/docs/points/${encodeURIComponent('ünïcode/id 1')}`);
  assert.deepEqual(point.point.payload, { section: 'made' });
  await shoot(page, 'point');
  await assertAccessible(page, 'a point');

  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog', { name: 'Delete point' }).getByRole('button', { name: 'Delete' }).click();
  await page.getByText('was deleted').waitFor();
  await assert.rejects(api(server, 'GET', `/v1/collections/docs/points/${encodeURIComponent('ünïcode/id 1')}`), /404/);
  assertBehaved(misdeeds, 'points');
  await close();
});

test('a search by a point and by a vector finds what the server finds, and is explained', async () => {
  const { page, misdeeds, close } = await openPage(`${front.url}#/explore?collection=docs`);
  await page.getByRole('button', { name: 'Find points like doc-0003' }).click();
  await page.getByText('searched by', { exact: true }).waitFor();
  const { point } = await api(server, 'GET', '/v1/collections/docs/points/doc-0003');
  const wanted = await api(server, 'POST', '/v1/collections/docs/points/search', { vector: point.vector, topK: 10 });
  const found = await page.locator('ol li button:first-child').allTextContents();
  assert.deepEqual(found.filter((text) => text.startsWith('doc-')), wanted.results.map((result) => result.id));
  await page.getByRole('heading', { name: 'How it was found' }).waitFor();
  await shoot(page, 'search');
  await assertAccessible(page, 'a search');

  await page.getByText('By vector', { exact: true }).click();
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByText('A vector is needed').waitFor();
  await page.getByLabel('Vector', { exact: true }).fill(point.vector.join(' '));
  await page.getByRole('textbox', { name: 'Results' }).fill('3');
  await page.getByRole('switch', { name: 'Exact' }).click();
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByRole('heading', { name: '3 results' }).waitFor();
  assertBehaved(misdeeds, 'search');
  await close();
});

// A place of the canvas inside a dot, from its corner: where the colour is full for some pixels around.
function dotIn(canvas) {
  return canvas.evaluate((element) => {
    const { width, height } = element;
    const { data } = element.getContext('2d').getImageData(0, 0, width, height);
    const scale = element.clientWidth / width;
    const isDot = (x, y) => {
      const at = 4 * (y * width + x);
      const colour = data.slice(at, at + 3);
      return data[at + 3] > 150 && Math.max(...colour) - Math.min(...colour) > 60;
    };
    for (let y = 20; y < height - 20; y += 1) {
      for (let x = 20; x < width - 20; x += 1) {
        if ([[0, 0], [-2, 0], [2, 0], [0, -2], [0, 2]].every(([right, down]) => isDot(x + right, y + down))) return { x: x * scale, y: y * scale };
      }
    }
    return null;
  });
}

test('the map draws a sample, says what a dot is and opens its point', async () => {
  // The test itself reads the canvas, more often than Chromium likes.
  const { page, misdeeds, close } = await openPage(`${front.url}#/explore?collection=docs&tab=map`, { allow: /willReadFrequently/ });
  await page.getByText(/All 300 points/).waitFor();
  await page.locator('canvas').first().waitFor();
  await page.getByText(/^kernel/).waitFor();
  await shoot(page, 'map');
  await assertAccessible(page, 'the map');

  const canvas = page.locator('canvas').first();
  await canvas.scrollIntoViewIfNeeded();
  const dot = await until('a dot on the map', () => dotIn(canvas));
  const cursor = () => canvas.evaluate((element) => element.parentElement.style.cursor);
  await canvas.hover({ position: { x: 1, y: 1 } });
  assert.notEqual(await cursor(), 'pointer');
  await canvas.evaluate((element) => {
    const pixels = () => new Uint32Array(element.getContext('2d').getImageData(0, 0, element.width, element.height).data.buffer);
    const before = pixels();
    element.changed = () => pixels().filter((pixel, at) => pixel !== before[at]).length;
  });
  await canvas.hover({ position: dot });
  await until('the pointer of something to click', async () => (await cursor()) === 'pointer');
  await until('a tooltip, far larger than a dot', () => canvas.evaluate((element) => element.changed() > 2000));
  await shoot(page, 'map-dot');
  await canvas.click({ position: dot });
  await page.getByRole('dialog', { name: /^doc-\d{4}$/ }).getByRole('heading', { name: 'Payload' }).waitFor();
  assertBehaved(misdeeds, 'the map');
  await close();
});

const places = [
  ['/', 'Overview'],
  ['/collections', 'Collections'],
  ['/collections/docs', 'docs'],
  ['/explore?collection=docs', 'Explore'],
  ['/explore?collection=docs&tab=search', 'Explore'],
  ['/explore?collection=docs&tab=map', 'Explore'],
  ['/ranking?collection=docs', 'Reranking'],
  ['/health', 'System health'],
  ['/gateway', 'Gateway'],
  ['/workers', 'Workers'],
  ['/placement', 'Placement'],
  ['/api', 'API reference'],
  ['/no/such/place', 'No such page'],
];

// Visits every page on such a screen, and judges what each shows once it has loaded.
async function assertEveryPage(screen, judge) {
  const { page, misdeeds, close } = await openPage(front.url, { ...screen, allow: /status of (404|501)/ });
  for (const [place, title] of places) {
    await visit(page, front, place, title);
    await page.waitForFunction(() => !document.querySelector('[role=status][aria-label=Loading]'));
    const what = `${place} at ${screen.width} px in ${screen.scheme}`;
    await assertFits(page, what);
    await judge(page, what, place);
    assertBehaved(misdeeds, what);
  }
  await close();
}

for (const scheme of ['light', 'dark']) {
  test(`every page fits a screen of 360 px and has no serious finding of axe, in ${scheme}`, async () => {
    await assertEveryPage({ width: 360, height: 740, scheme }, async (page, what, place) => {
      await assertAccessible(page, what);
      await shoot(page, `narrow-${scheme}-${place.replace(/\W+/g, '_')}`);
    });
  });
}

test('every page fits a screen of 2560 px', async () => {
  await assertEveryPage({ width: 2560, height: 1440, scheme: 'light' }, (page, _, place) => shoot(page, `wide-${place.replace(/\W+/g, '_')}`));
});

test('the console works by keyboard alone', async () => {
  const { page, close } = await openPage(front.url, { allow: /status of (404|501)/ });
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'content');
  await page.getByRole('link', { name: 'Collections' }).first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Collections' }).waitFor();
  await page.getByRole('button', { name: 'Create collection' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.closest('[role=dialog]') !== null), true);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await close();
});
