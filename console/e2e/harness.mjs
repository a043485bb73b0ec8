// What the end-to-end tests stand on: a real server, a browser, and a watch on everything the page must not do.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, extname, join, normalize } from 'node:path';
import { createInterface } from 'node:readline';
import { test as declare } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, '..', '..');
export const dist = process.env.VECTRON_CONSOLE_DIST ?? join(here, '..', 'dist');
export const output = process.env.VECTRON_CONSOLE_OUTPUT ?? join(here, 'output');
export const program = process.env.VECTRON_BIN ?? join(root, 'build', 'release', 'bin', 'vectron');
const readyMs = 60_000;
const waitMs = 60_000; // for what a page has to show: generous, for machines that do other things too

// Starts `vectron dev` on free ports with a data folder of its own.
// Returns {url, data, stop(), kill()}; stop() waits for a clean end and removes the data.
export async function startVectron(flags = ['--auth', 'off'], data = mkdtempSync(join(tmpdir(), 'vectron-console-')), http = '127.0.0.1:0') {
  const child = spawn(program, ['dev', '--data', data, '--http', http, '--grpc', '127.0.0.1:0', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (part) => (log = (log + part).slice(-4000)));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const lines = createInterface({ input: child.stdout });
  const ready = await Promise.race([
    new Promise((resolve) => lines.once('line', resolve)),
    ended.then((code) => Promise.reject(new Error(`vectron ended with ${code}\n${log}`))),
    new Promise((_, reject) => setTimeout(() => reject(new Error(`vectron was not ready in time\n${log}`)), readyMs).unref()),
  ]);
  const end = async (signal) => {
    child.kill(signal);
    await ended;
  };
  return {
    url: `http://${JSON.parse(ready).http}`,
    data,
    kill: () => end('SIGKILL'),
    stop: async () => {
      await end('SIGTERM');
      rmSync(data, { recursive: true, force: true });
    },
  };
}

// Starts a cluster of one placement node, some workers and a gateway, by the script that users start one with.
// Returns {url, stop()}; stop() waits for the end of all and removes the data.
export async function startCluster(flags = []) {
  const data = mkdtempSync(join(tmpdir(), 'vectron-console-'));
  const tool = join(root, 'tools', 'cluster.py');
  const script = (...words) => promisify(execFile)('python3', ['-B', tool, ...words, '--data', data, '--json', '--binary', program]);
  const remove = () => rmSync(data, { recursive: true, force: true });
  try {
    const { stdout } = await script('up', '--no-demo', '--placement', '1', '--threads', '1', ...flags);
    const stop = async () => {
      await script('down');
      remove();
    };
    return { url: `http://${JSON.parse(stdout).http[0]}`, stop };
  } catch (error) {
    remove();
    throw error;
  }
}

const types = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2', '.json': 'application/json',
};

// Serves the built console below a path prefix and hands everything else below it to the server, as a reverse proxy does.
// target() is asked at each request, so that a test may take the server away.
export async function startFront(target, prefix = '/') {
  const server = http.createServer((request, response) => {
    const path = new URL(request.url, 'http://front').pathname;
    if (!path.startsWith(prefix)) return void response.writeHead(404).end();
    const below = path.slice(prefix.length);
    const isPage = below !== '' || request.headers.accept?.includes('text/html');
    const file = normalize(join(dist, below === '' ? 'index.html' : below));
    if (request.method === 'GET' && isPage && file.startsWith(dist)) {
      try {
        const bytes = readFileSync(file);
        return void response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(bytes);
      } catch {
        // No file of the console: the API's.
      }
    }
    forward(request, response, `${target()}/${request.url.slice(prefix.length)}`);
  });
  return listen(server, prefix);
}

// A reverse proxy that shows a server below a path prefix, cuts that off and adds headers.
export async function startProxy(target, prefix, headers = {}) {
  const server = http.createServer((request, response) => {
    if (!request.url.startsWith(`${prefix}/`)) return void response.writeHead(404).end();
    forward(request, response, `${target()}${request.url.slice(prefix.length)}`, headers);
  });
  return listen(server, prefix);
}

async function listen(server, prefix) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}${prefix}`,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

function forward(request, response, url, more = {}) {
  const onward = http.request(url, { method: request.method, headers: { ...request.headers, ...more, host: new URL(url).host } });
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  // As if the connection had been refused.
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}

let browser;
const open = new Set(); // contexts of pages that were not closed
export async function closeBrowser() {
  await browser?.close();
  browser = undefined;
}

// A test; when it fails, what its page shows is kept beside the other screenshots and said in the log.
export function test(name, run) {
  declare(name, async () => {
    try {
      await run();
    } catch (error) {
      for (const page of [...open].flatMap((context) => context.pages())) {
        await shoot(page, `failed-${name.replace(/\W+/g, '-')}`).catch(() => {});
        const text = await page.locator('body').innerText().catch(() => '');
        console.log(`${page.url()} shows:\n${text.slice(0, 2000)}`);
      }
      throw error;
    } finally {
      for (const context of open) await context.close();
      open.clear();
    }
  });
}

// A page, and a list that fills with what it must never do: errors in its console, requests to other hosts, broken
// Content-Security-Policy. `allow`: a pattern of console errors that the test provokes.
export async function openPage(url, { width = 1440, height = 900, scheme = 'light', allow } = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.VECTRON_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: scheme, reducedMotion: 'reduce',
  });
  open.add(context);
  const page = await context.newPage();
  page.setDefaultTimeout(waitMs);
  const misdeeds = [];
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const text = `${message.text()} ${message.location().url}`;
    if (!allow?.test(text)) misdeeds.push(text);
  });
  page.on('pageerror', (error) => misdeeds.push(`uncaught: ${error.message}`));
  let home; // origin of the page last gone to
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (request.isNavigationRequest()) home = origin;
    if (protocol !== 'data:' && origin !== home) misdeeds.push(`request to another host: ${request.url()}`);
  });
  await page.goto(url);
  const close = async () => {
    open.delete(context);
    await context.close();
  };
  return { page, misdeeds, close, browser };
}

// Goes to a place of the console and waits until its page is there: the one before stays on screen until then.
export async function visit(page, front, place, title) {
  await page.goto(`${front.url}#${place}`);
  await page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor();
}

export async function shoot(page, name) {
  mkdirSync(output, { recursive: true });
  // The whole page, but for a dialog, which covers only what is on the screen.
  const fullPage = (await page.getByRole('dialog').count()) === 0;
  if (fullPage) await page.evaluate(() => window.scrollTo(0, 0));
  await page.screenshot({ path: join(output, `${name}.png`), fullPage });
}

// A JSON request to the server behind the console's back, repeated while it is refused for the moment.
export async function api(server, verb, path, body) {
  const end = Date.now() + waitMs;
  for (;;) {
    const response = await fetch(`${server.url}${path}`, { method: verb, body: body === undefined ? undefined : JSON.stringify(body) });
    const json = await response.json();
    if (response.ok) return json;
    const later = [429, 503, 504].includes(response.status) && Date.now() < end;
    if (!later) throw new Error(`${verb} ${path}: ${response.status} ${JSON.stringify(json)}`);
    await pause();
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 100));

// What `check` gives once that is true.
export async function until(what, check) {
  for (const end = Date.now() + waitMs; Date.now() < end; await pause()) {
    const found = await check();
    if (found) return found;
  }
  throw new Error(`in vain: waited for ${what}`);
}

// Points in a few clusters, so that pictures and searches have something to show. Deterministic. Reranking has time: what else the
// machine does is no matter here. more: options of the collection.
export async function fill(server, name, { dimension = 16, count = 300, distance = 'cosine', ...more } = {}) {
  await api(server, 'POST', '/v1/collections', {
    name, dimension, distance, payloadIndexes: [{ field: 'section', type: 'KEYWORD' }, { field: 'price', type: 'FLOAT' }],
    rerank: { budgetMs: 5000 }, ...more,
  });
  let state = 7;
  const random = () => ((state = (state * 1103515245 + 12345) % 2147483648) / 2147483648) - 0.5;
  const sections = ['kernel', 'network', 'sound', 'video'];
  const centres = sections.map(() => Array.from({ length: dimension }, random));
  const points = Array.from({ length: count }, (_, at) => {
    const which = at % sections.length;
    return {
      id: `doc-${String(at).padStart(4, '0')}`,
      vector: centres[which].map((value) => value + random() * 0.35),
      payload: { title: `Document ${at} on ${sections[which]}`, section: sections[which], price: Math.round((random() + 0.5) * 1000) / 10, tags: ['demo', `t${at % 7}`] },
    };
  });
  await api(server, 'POST', `/v1/collections/${name}/points`, { points });
}
