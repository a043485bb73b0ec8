// The search form: what was typed, and the request it makes.
import type { Consistency, FilterInput, SearchRequestInput } from '../api/generated';

export interface SearchForm {
  topK: number | '';
  ef: number | '';
  exact: boolean;
  threshold: number | '';
  consistency: Consistency;
  maxStalenessMs: number | ''; // of bounded reads
  query: string; // text, for reranking
  strategy: string; // '' : the collection's choice
  explain: boolean;
}

export const emptySearch: SearchForm = {
  topK: 10,
  ef: '',
  exact: false,
  threshold: '',
  consistency: 'CONSISTENCY_UNSPECIFIED',
  maxStalenessMs: '',
  query: '',
  strategy: '',
  explain: true,
};

export function searchRequest(
  collection: string,
  vector: number[],
  form: SearchForm,
  filter: FilterInput | undefined,
): SearchRequestInput {
  const request: SearchRequestInput = { collection, vector, topK: form.topK || 10, explain: form.explain };
  if (filter) request.filter = filter;
  if (form.exact || form.ef) request.params = { exact: form.exact, ...(form.exact || !form.ef ? {} : { ef: form.ef }) };
  if (form.threshold !== '') request.scoreThreshold = form.threshold;
  if (form.consistency !== 'CONSISTENCY_UNSPECIFIED') request.consistency = form.consistency;
  if (form.consistency === 'BOUNDED' && form.maxStalenessMs) request.maxStalenessMs = form.maxStalenessMs;
  if (form.query.trim() !== '') {
    request.query = form.query.trim();
    if (form.strategy !== '') request.rerank = { strategy: form.strategy };
  }
  return request;
}
