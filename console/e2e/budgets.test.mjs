// What the first load of a page may cost: bytes, movement, and how long the page cannot answer its reader. Served by the
// gateway itself, as users get it.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertBehaved } from './checks.mjs';
import { closeBrowser, dist, fill, openPage, startVectron, test } from './harness.mjs';

const bytesMax = 350 * 1024;
const taskMsMax = 200;
const shiftMax = 0.01;
let guarded; // asks for credentials
let open;

before(async () => {
  guarded = await startVectron(['--auth', 'on', '--console', dist]);
  open = await startVectron(['--auth', 'off', '--console', dist, '--sample-interval-ms', '500']);
  await fill(open, 'docs');
});

after(async () => {
  await closeBrowser();
  await guarded?.stop();
  await open?.stop();
});

// The longest task of the page's main thread, in ms of processor time: what else the machine does makes a task last, but not
// dearer. null: the trace has no such task.
function longestTask(trace) {
  const { traceEvents } = JSON.parse(trace);
  const mains = new Set(traceEvents.filter((event) => event.name === 'thread_name' && event.args.name === 'CrRendererMain').map((event) => `${event.pid} ${event.tid}`));
  const tasks = traceEvents.filter((event) => /RunTask$/.test(event.name) && event.tdur > 0 && mains.has(`${event.pid} ${event.tid}`));
  return tasks.length === 0 ? null : Math.max(...tasks.map((event) => event.tdur)) / 1000;
}

// Loads `url` in an empty browser until `ready` and a moment of live updates are over. Returns what it cost.
async function firstLoad(url, ready) {
  const { page, misdeeds, close, browser } = await openPage('about:blank');
  const cdp = await page.context().newCDPSession(page);
  let bytes = 0;
  const urls = new Map(); // by request; those of live updates come again and again, and count once
  await cdp.send('Network.enable');
  cdp.on('Network.requestWillBeSent', ({ requestId, request }) => {
    if (![...urls.values()].includes(request.url)) urls.set(requestId, request.url);
  });
  cdp.on('Network.loadingFinished', (event) => (bytes += urls.has(event.requestId) ? event.encodedDataLength : 0));
  await page.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        window.shifts.push({ value: entry.value, what: entry.sources.map((source) => source.node?.parentElement?.innerText.slice(0, 40)) });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline'] });
  await page.goto(url);
  await ready(page);
  await page.waitForLoadState('load');
  await page.waitForTimeout(1_000);
  await page.evaluate(() => document.fonts.ready);
  const loaded = bytes;
  const trace = await browser.stopTracing();
  const shifts = await page.evaluate(() => window.shifts);
  assertBehaved(misdeeds, url);
  await close();
  return { bytes: loaded, longest: longestTask(trace.toString()), shifts };
}

function assertLight(what, { bytes, longest, shifts }) {
  const moved = shifts.reduce((sum, shift) => sum + shift.value, 0);
  console.log(`${what}: ${(bytes / 1024).toFixed(1)} KiB, longest task ${longest} ms of processor time, layout shift ${moved.toFixed(4)}`);
  assert.ok(bytes > 100 * 1024 && bytes <= bytesMax, `${what}: ${bytes} bytes`);
  assert.ok(longest !== null && longest <= taskMsMax, `${what}: a task of ${longest} ms`);
  assert.ok(moved <= shiftMax, `${what}: layout shift ${JSON.stringify(shifts)}`);
}

test('sign-in is light on its feet', async () => {
  assertLight('sign-in', await firstLoad(guarded.url, (page) => page.getByRole('button', { name: 'Sign in' }).waitFor()));
});

test('the overview is light on its feet', async () => {
  const ready = async (page) => {
    await page.getByText('300', { exact: true }).first().waitFor();
    await page.getByRole('link', { name: 'docs' }).waitFor();
    await page.locator('canvas').first().waitFor();
  };
  assertLight('overview', await firstLoad(open.url, ready));
});
