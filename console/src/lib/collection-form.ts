// The form for a new collection: what was typed, what is wrong with it, and the request it makes.
import type { Consistency, CreateCollectionRequestInput, PayloadType, RerankOptionsInput, VectorStorage } from '../api/generated';

export interface CollectionForm {
  name: string;
  dimension: number | '';
  distance: string;
  shardCount: number | '';
  replicationFactor: number | '';
  m: number | '';
  efConstruct: number | '';
  efSearch: number | '';
  storage: VectorStorage;
  consistency: Consistency;
  vectorsInMemory: boolean;
  indexes: { key: number; field: string; type: PayloadType }[];
  rerank: string; // strategy; '' : the server's choice
  rerankBudgetMs: number | '';
  rerankCandidates: number | '';
  rerankExplore: boolean;
}

export const emptyForm: CollectionForm = {
  name: '',
  dimension: '',
  distance: 'cosine',
  shardCount: '',
  replicationFactor: '',
  m: '',
  efConstruct: '',
  efSearch: '',
  storage: 'VECTOR_STORAGE_F32',
  consistency: 'STRONG',
  vectorsInMemory: false,
  indexes: [],
  rerank: '',
  rerankBudgetMs: '',
  rerankCandidates: '',
  rerankExplore: true,
};

export type Problems = Partial<Record<'name' | 'dimension' | 'indexes', string>>;

// What the server would refuse, found before it is asked. Empty: nothing.
export function problemsOf(form: CollectionForm): Problems {
  const problems: Problems = {};
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(form.name)) {
    problems.name = 'Up to 128 letters, digits, _ and -, beginning with a letter or digit.';
  }
  if (form.dimension === '' || form.dimension < 1 || form.dimension > 65_535) {
    problems.dimension = 'A whole number from 1 to 65,535: the length of every vector.';
  }
  if (form.indexes.some((index) => index.field.trim() === '')) problems.indexes = 'Every index needs the path of a field.';
  return problems;
}

// Only what was chosen is sent: the rest is the server's choice.
export function requestOf(form: CollectionForm): CreateCollectionRequestInput {
  const request: CreateCollectionRequestInput = {
    name: form.name,
    dimension: Number(form.dimension),
    distance: form.distance,
    storage: form.storage,
    defaultConsistency: form.consistency,
  };
  if (form.shardCount !== '') request.shardCount = form.shardCount;
  if (form.replicationFactor !== '') request.replicationFactor = form.replicationFactor;
  const hnsw = { m: form.m || 0, efConstruct: form.efConstruct || 0, efSearch: form.efSearch || 0 };
  if (hnsw.m || hnsw.efConstruct || hnsw.efSearch) request.hnsw = hnsw;
  if (form.vectorsInMemory) request.vectorsInMemory = true;
  if (form.indexes.length > 0) {
    request.payloadIndexes = form.indexes.map(({ field, type }) => ({ field: field.trim(), type }));
  }
  const rerank: RerankOptionsInput = {};
  if (form.rerank !== '') rerank.strategy = form.rerank;
  if (form.rerankBudgetMs) rerank.budgetMs = form.rerankBudgetMs;
  if (form.rerankCandidates) rerank.candidates = form.rerankCandidates;
  if (!form.rerankExplore) rerank.explore = false;
  if (Object.keys(rerank).length > 0) request.rerank = rerank;
  return request;
}
