import { expect, it } from 'vitest';
import { byTag, messageIn, resolve, typeWords, type OpenApi } from './openapi';

const document: OpenApi = {
  openapi: '3.1.0',
  info: { title: 'T', version: '1' },
  paths: {
    '/a': { get: { tags: ['A'], operationId: 'one' }, post: { tags: ['A'] } },
    '/b': { delete: {}, parameters: {} } as never,
  },
  components: { schemas: { 'vectron.v1.Point': { properties: { id: { type: 'string' } } } } },
};

it('lists the operations by tag', () => {
  const groups = byTag(document);
  expect([...groups.keys()]).toEqual(['A', 'Other']);
  expect(groups.get('A')?.map((each) => each.verb)).toEqual(['GET', 'POST']);
});

it('says what a type is', () => {
  const point = { $ref: '#/components/schemas/vectron.v1.Point' };
  expect(typeWords({ type: 'array', items: point })).toBe('Point[]');
  expect(typeWords({ oneOf: [point, { type: 'null' }] })).toBe('Point or null');
  expect(typeWords({ type: 'object', additionalProperties: { type: 'string' } })).toBe('map of string');
  expect(typeWords({ type: ['string', 'null'] })).toBe('string or null');
  expect(messageIn({ type: 'array', items: point })).toBe('vectron.v1.Point');
  expect(Object.keys(resolve(document, point).properties ?? {})).toEqual(['id']);
});
