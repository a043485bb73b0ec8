import { describe, expect, it } from 'vitest';
import { emptyForm, problemsOf, requestOf } from './collection-form';
import { expiryOf, keyNameProblem, patternsOf } from './key-form';
import { passwordProblem } from './password';
import { colorBy, colorFields, sampleSize } from './sample';
import { emptySearch, searchRequest } from './search-form';

describe('a new collection', () => {
  it('is checked before it is sent', () => {
    expect(problemsOf({ ...emptyForm, name: 'docs', dimension: 4 })).toEqual({});
    expect(problemsOf({ ...emptyForm, name: 'a b', dimension: 70_000 })).toHaveProperty('name');
    expect(problemsOf({ ...emptyForm, name: 'x'.repeat(129), dimension: 4 })).toHaveProperty('name');
    expect(problemsOf({ ...emptyForm, name: '-a', dimension: '' })).toHaveProperty('dimension');
    const indexes = [{ key: 1, field: ' ', type: 'KEYWORD' as const }];
    expect(problemsOf({ ...emptyForm, name: 'docs', dimension: 4, indexes })).toHaveProperty('indexes');
  });

  it('sends only what was chosen', () => {
    const plain = requestOf({ ...emptyForm, name: 'docs', dimension: 4 });
    expect(Object.keys(plain).sort()).toEqual(['defaultConsistency', 'dimension', 'distance', 'name', 'storage']);
    const full = requestOf({ ...emptyForm, name: 'docs', dimension: 4, m: 8, shardCount: 3, vectorsInMemory: true });
    expect(full).toMatchObject({ hnsw: { m: 8, efConstruct: 0, efSearch: 0 }, shardCount: 3, vectorsInMemory: true });
    expect(full.rerank).toBeUndefined();
    const ranked = requestOf({ ...emptyForm, name: 'docs', dimension: 4, rerankBudgetMs: 20, rerankCandidates: 50, rerankExplore: false });
    expect(ranked.rerank).toEqual({ budgetMs: 20, candidates: 50, explore: false });
  });
});

describe('a search', () => {
  it('leaves out what is not set', () => {
    expect(searchRequest('docs', [1], { ...emptySearch, topK: '' }, undefined)).toEqual({
      collection: 'docs', vector: [1], topK: 10, explain: true,
    });
  });

  it('has no breadth when it is exact, and no reranking without a text', () => {
    const request = searchRequest('docs', [1], { ...emptySearch, exact: true, ef: 50, strategy: 'rule' }, { must: [] });
    expect(request.params).toEqual({ exact: true });
    expect(request.rerank).toBeUndefined();
    expect(searchRequest('docs', [1], { ...emptySearch, query: ' a ', strategy: 'rule' }, undefined)).toMatchObject({
      query: 'a', rerank: { strategy: 'rule' },
    });
  });

  it('says how stale it may be when it is bounded, and only then', () => {
    const bounded = searchRequest('docs', [1], { ...emptySearch, consistency: 'BOUNDED', maxStalenessMs: 500 }, undefined);
    expect(bounded).toMatchObject({ consistency: 'BOUNDED', maxStalenessMs: 500 });
    expect(searchRequest('docs', [1], { ...emptySearch, consistency: 'STRONG', maxStalenessMs: 500 }, undefined)).not.toHaveProperty('maxStalenessMs');
  });

  it('keeps a threshold of zero', () => {
    expect(searchRequest('docs', [1], { ...emptySearch, threshold: 0 }, undefined).scoreThreshold).toBe(0);
  });
});

describe('a new key', () => {
  it('has a name the server takes', () => {
    expect(keyNameProblem('my program_1-a')).toBeNull();
    for (const name of ['', 'x'.repeat(51), 'a/b']) expect(keyNameProblem(name)).not.toBeNull();
  });
  it('reads patterns and the end', () => {
    expect(patternsOf(' docs, test-* ,,')).toEqual(['docs', 'test-*']);
    expect(expiryOf(0, 5000)).toBe('0');
    expect(expiryOf(1, 5000)).toBe('86405');
  });
});

it('asks of a password what the server asks', () => {
  expect(passwordProblem('Secret-123')).toBeNull();
  expect(passwordProblem('secret123')).not.toBeNull();
  expect(passwordProblem('Aa1!')).not.toBeNull();
  expect(passwordProblem(`Aa1!${'é'.repeat(63)}`)).not.toBeNull();
});

describe('a picture', () => {
  it('takes fewer points when vectors are long', () => {
    expect(sampleSize(16, 500)).toBe(500);
    expect(sampleSize(65_535, 500)).toBeLessThan(20);
    expect(sampleSize(65_535, 500)).toBeGreaterThan(1);
  });

  it('gives the most frequent values a colour of their own', () => {
    const payloads = Array.from({ length: 100 }, (_, at) => ({ a: at % 12, b: 'x' }));
    const { colors, keys } = colorBy(payloads, 'a');
    expect(colors).toHaveLength(100);
    expect(keys.reduce((sum, key) => sum + key.count, 0)).toBe(100);
    expect(keys.at(-1)?.label).toContain('other');
    expect(colorFields(payloads)).toEqual(['a']);
  });
});
