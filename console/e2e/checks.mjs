// Judgements over a page that every test may ask for.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// No serious finding of axe. The engine is evaluated by the browser itself, which the page's policy does not bind.
export async function assertAccessible(page, what) {
  await page.evaluate(axe);
  const results = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const grave = results.violations
    .filter((each) => each.impact === 'serious' || each.impact === 'critical')
    .map((each) => `${each.id}: ${each.help}\n  ${each.nodes.map((node) => `${node.html} ${node.failureSummary}`).slice(0, 3).join('\n  ')}`);
  assert.deepEqual(grave, [], `accessibility of ${what}`);
}

export async function assertFits(page, what) {
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(excess <= 0, `${what} is ${excess} px wider than the screen`);
}

export function assertBehaved(misdeeds, what) {
  assert.deepEqual(misdeeds, [], `${what}: errors in the console, requests to other hosts, broken policy`);
}
