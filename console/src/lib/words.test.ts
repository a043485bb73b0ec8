import { expect, it } from 'vitest';
import { healthWords, workerName } from './words';

it('says states as words', () => expect(healthWords('under_replicated')).toBe('Under replicated'));

it('names a worker in one way, however the server writes its id', () => {
  expect(workerName('3')).toBe('worker 3');
  expect(workerName('worker-3')).toBe('worker 3');
});
