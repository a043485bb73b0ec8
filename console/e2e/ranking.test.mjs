// Reranking and feedback, from a search to the decision over the model.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertAccessible, assertBehaved } from './checks.mjs';
import { api, closeBrowser, fill, openPage, shoot, startFront, startVectron, test } from './harness.mjs';

let server;
let front;

before(async () => {
  server = await startVectron();
  front = await startFront(() => server.url);
  await fill(server, 'docs');
});

after(async () => {
  await closeBrowser();
  await front?.stop();
  await server?.stop();
});

test('feedback on a reranked result is stored, learned from and listed', async () => {
  const { page, misdeeds, close } = await openPage(`${front.url}#/explore?collection=docs&tab=search&like=doc-0003`);
  await page.getByText('searched by', { exact: true }).waitFor();
  await page.getByLabel('Query text').fill('document on video');
  await page.getByLabel('Reranking').selectOption('learned');
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByText(/score, higher is better/).waitFor();
  await shoot(page, 'reranked');
  await page.getByTitle('This was the right one').nth(1).click();
  await page.getByText('Your feedback was stored').waitFor();
  const { records } = await api(server, 'GET', '/v1/feedback?collection=docs');
  assert.equal(records.length, 1);
  assert.equal(records[0].feedbackItems[0].clicked, true);

  // Any number of them, and what a server says of it that does not tell.
  let total;
  await page.route(/\/v1\/feedback\?/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), total } });
  });
  await page.goto(`${front.url}#/ranking?collection=docs`);
  await page.getByRole('cell', { name: 'document on video' }).waitFor();
  assert.equal(await page.getByText(/\d records?$/).count(), 0);
  total = '1234';
  await page.reload();
  await page.getByText('1,234 records').waitFor();
  await page.getByRole('heading', { name: 'Evidence' }).waitFor();
  await shoot(page, 'ranking');
  await assertAccessible(page, 'reranking');
  assertBehaved(misdeeds, 'reranking');
  await close();
});

test('the strategy shown is the one of the collection', async () => {
  await api(server, 'POST', '/v1/collections', { name: 'unranked', dimension: 4, rerank: { strategy: 'none' } });
  const { page, misdeeds, close } = await openPage(`${front.url}#/ranking?collection=unranked`);
  await page.getByText('By distance alone').waitFor();
  await page.goto(`${front.url}#/ranking?collection=docs`);
  await page.getByText('The collection names none').waitFor();
  assertBehaved(misdeeds, 'the strategy');
  await close();
});

test('a person may promote what was learned and take it back', async () => {
  const { page, misdeeds, close } = await openPage(`${front.url}#/ranking?collection=docs`);
  await page.getByRole('button', { name: 'Promote' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Promote' }).click();
  await page.getByText('It orders the answers where the strategy is “learned”').waitFor();
  assert.equal((await api(server, 'GET', '/v1/admin/collections/docs/ranking')).state, 'learned');
  await page.getByRole('button', { name: 'Roll back' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
  await page.getByText('The rule stands in for it where the strategy is “learned”').waitFor();
  assertBehaved(misdeeds, 'the decision');
  await close();
});
