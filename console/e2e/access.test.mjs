// Accounts, keys and rights, against a server that asks for credentials.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { assertAccessible, assertBehaved } from './checks.mjs';
import { closeBrowser, openPage, shoot, startFront, startVectron, test, visit } from './harness.mjs';

const noLimits = ['--auth-login-per-minute', '0', '--auth-register-per-minute', '0', '--auth-key-per-minute', '0'];
const admin = { email: 'admin@example.com', password: 'Correct-Horse-1' };
const user = { email: 'user@example.com', password: 'Battery-Staple-2' };
let server;
let front;

before(async () => {
  server = await startVectron(['--auth', 'on', ...noLimits]);
  front = await startFront(() => server.url);
});

after(async () => {
  await closeBrowser();
  await front?.stop();
  await server?.stop();
});

async function signIn(page, { email, password }, place = 'Overview') {
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: place }).waitFor();
}

async function signUp(page, { email, password }, secret) {
  await page.getByRole('link', { name: 'Create one' }).click();
  // Both doors have fields of these names: what is typed into the one that goes is lost.
  await page.getByRole('heading', { name: 'Create an account' }).waitFor();
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  if (secret) {
    await page.getByText('I set up this server').click();
    await page.getByLabel('Bootstrap secret').fill(secret);
  }
  await page.getByRole('button', { name: 'Create account' }).click();
}

const request = (verb, path, credential, body) =>
  fetch(`${server.url}${path}`, { method: verb, headers: { authorization: `Bearer ${credential}` }, body: body && JSON.stringify(body) });

test('the first account takes the bootstrap secret and is the administrator', async () => {
  const { page, misdeeds, close } = await openPage(front.url);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await assertAccessible(page, 'sign-in');
  await shoot(page, 'sign-in-needed');
  await page.getByRole('link', { name: 'Create one' }).click();
  await page.getByRole('heading', { name: 'Create an account' }).waitFor();
  await assertAccessible(page, 'sign-up');
  await page.getByRole('link', { name: 'Sign in' }).click();
  await signUp(page, admin, readFileSync(join(server.data, 'bootstrap.secret'), 'utf8').trim());
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.getByRole('link', { name: 'Users' }).click();
  await page.getByText('you', { exact: true }).waitFor();
  await shoot(page, 'users');
  await assertAccessible(page, 'users');
  assertBehaved(misdeeds, 'the first account');
  await page.reload();
  await page.getByText('you', { exact: true }).waitFor(); // the session outlives a reload
  await page.getByRole('button', { name: 'Sign out' }).first().click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await close();
});

test('a wrong password is refused in words', async () => {
  const { page, close } = await openPage(front.url, { allow: /status of 401/ });
  await page.getByLabel('E-mail').fill(admin.email);
  await page.getByLabel('Password', { exact: true }).fill('Wrong-Horse-1');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('E-mail or password is wrong.').waitFor();
  await close();
});

test('a key is made, shown once, works with its rights and is refused once revoked', async () => {
  const { page, misdeeds, close } = await openPage(front.url);
  await signIn(page, admin);
  await page.getByRole('link', { name: 'API keys' }).click();
  await page.getByRole('button', { name: 'Create key' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('reader of docs');
  await dialog.getByLabel('Rights').selectOption('KEY_SCOPE_READ');
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  const key = (await page.getByTestId('secret').textContent()).trim();
  assert.match(key, /^vkey-/);
  await assertAccessible(page, 'a new key');
  await page.getByRole('button', { name: 'I have kept it' }).click();
  await page.getByText('reader of docs').waitFor();
  assert.equal(await page.getByText(key).count(), 0);
  assert.equal((await request('GET', '/v1/collections', key)).status, 200);
  assert.equal((await request('POST', '/v1/collections', key, { name: 'no', dimension: 4 })).status, 403);
  await shoot(page, 'keys');
  await assertAccessible(page, 'the keys');

  await page.getByRole('button', { name: 'Token' }).click();
  const token = (await page.getByTestId('secret').textContent()).trim();
  assert.equal(token.split('.').length, 3);
  await page.getByRole('button', { name: 'I have kept it' }).click();

  await page.getByRole('button', { name: 'Revoke reader of docs' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('You have no key').waitFor();
  let status = 200;
  for (const until = Date.now() + 10_000; status !== 401 && Date.now() < until; ) status = (await request('GET', '/v1/collections', key)).status;
  assert.equal(status, 401);
  assertBehaved(misdeeds, 'keys');
  await close();
});

test('another user sees what is theirs, and not the cluster', async () => {
  const { page, close } = await openPage(front.url, { allow: /status of 403/ });
  await signUp(page, user);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Workers' }).count(), 0);
  await page.goto(`${front.url}#/users`);
  await page.getByText('You do not have the right to see this').waitFor();
  await page.goto(`${front.url}#/profile`);
  await page.getByText(user.email).first().waitFor();
  await shoot(page, 'profile');
  await assertAccessible(page, 'the profile');
  await page.getByLabel('Present password').fill(user.password);
  await page.getByLabel('New password').fill('Changed-Staple-3');
  await page.getByRole('button', { name: 'Change password' }).click();
  await page.getByText('Your password is changed').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).first().click();
  await signIn(page, { ...user, password: 'Changed-Staple-3' }, 'Profile'); // back to where one was
  await close();
});

test('an administrator makes another one', async () => {
  const { page, close } = await openPage(front.url);
  await signIn(page, admin);
  await page.goto(`${front.url}#/users`);
  await page.getByLabel(`Role of ${user.email}`).selectOption('ROLE_ADMIN');
  await page.getByRole('button', { name: 'Make administrator' }).click();
  await page.getByText(`${user.email} was changed`).waitFor();
  assert.equal(await page.getByLabel(`Role of ${user.email}`).inputValue(), 'ROLE_ADMIN');
  await close();
});

// The long ids of owners and users leave the tables room enough on a common screen.
async function assertTablesFit() {
  const { page, close } = await openPage(front.url, { width: 1280, height: 800 });
  await signIn(page, admin);
  for (const [place, title] of [['/users', 'Users'], ['/placement', 'Placement']]) {
    await visit(page, front, place, title);
    const table = page.getByRole('table').filter({ hasText: /user-/ });
    await table.waitFor();
    const excess = await table.evaluate((element) => element.offsetWidth - element.parentElement.clientWidth);
    assert.ok(excess <= 0, `the table of ${title} at 1280 px is ${excess} px too wide`);
  }
  await close();
}

test('an administrator opens collections of one name that several users have', async () => {
  const post = async (path, token, body) => {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(`${server.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    assert.equal(response.status, 200, await response.clone().text());
    return response.json();
  };
  for (const [dimension, email] of [[3, 'ada@example.com'], [5, 'bob@example.com']]) {
    const account = { email, password: 'Battery-Staple-2' };
    await post('/v1/users/register', '', account);
    const { jwtToken } = await post('/v1/users/login', '', account);
    await post('/v1/collections', jwtToken, { name: 'same', dimension });
  }
  await assertTablesFit();
  // The name alone is not enough, which the list of names finds out.
  const { page, misdeeds, close } = await openPage(front.url, { allow: /collections\/same\/status/ });
  await signIn(page, admin);
  for (const at of [0, 1]) {
    await page.goto(`${front.url}#/collections`);
    await page.getByRole('link', { name: /several users have one of this name/ }).click();
    const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'same', exact: true }) }).nth(at);
    const owner = (await row.getByText(/^user-/).innerText()).trim();
    await row.getByRole('link', { name: 'same', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: `same@${owner}` }).waitFor();
    await page.getByRole('link', { name: 'Explore points' }).click();
    await page.getByText(/dimension [35]/).waitFor();
  }
  assertBehaved(misdeeds, "another user's collection");
  await close();
});
