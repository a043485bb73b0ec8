"""What goes in and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from vectron.errors import PartialUpsertError, VectronError
from vectron.filters import Filter
from vectron.wire import Vector


@dataclass
class Point:
    """A point to write, or one that was read (its vector is a numpy array then).

    id: 1-256 bytes of UTF-8. vector: as many finite numbers as the collection's dimension. payload: any JSON object.
    """

    id: str
    vector: Vector = field(default_factory=list)
    payload: dict[str, Any] = field(default_factory=dict)
    version: int = 0  # log index of the last write; of points read


@dataclass
class SearchResult:
    """score: a distance, lower is closer; of a reranked answer in [0, 1], higher is better."""

    id: str
    score: float
    payload: dict[str, Any] = field(default_factory=dict)
    vector: npt.NDArray[np.float32] | None = None
    version: int = 0


@dataclass(frozen=True)
class RerankInfo:
    """What ordered an answer that was to be reranked."""

    strategy: str  # "none" (vector order), "rule", "learned", "interleaved" or "llm"
    reason: str  # why it is another one than asked for; empty: it is not
    from_cache: bool
    explored: bool  # some neighbours were swapped to learn from clicks
    time_us: int


class SearchResults(list[SearchResult]):
    """The results, best first, and what the server said about them."""

    query_id: str = ""  # names this answer for submit_feedback
    reranked: bool = False
    partial: bool = False  # some shards did not answer within timeout_ms: missing_shards
    missing_shards: Sequence[int] = ()
    last: bool = True  # of a stream: this is the final answer
    explain: dict[str, Any] | None = None
    rerank: RerankInfo | None = None  # None: no reranking was asked for

    @property
    def ids(self) -> list[str]:
        return [result.id for result in self]


@dataclass
class Shard:
    shard_id: int
    replicas: list[int]
    leader_id: int
    ready: bool


@dataclass
class CollectionStatus:
    name: str
    dimension: int
    distance: str
    shards: list[Shard]
    point_count: int
    indexed_count: int
    size_bytes: int
    options: CollectionOptions  # what it was created with, defaults filled in; create_collection takes them

    @property
    def ready(self) -> bool:
        return all(shard.ready for shard in self.shards)


@dataclass
class Page:
    """One page of a scroll."""

    points: list[Point]
    next_after_id: str  # empty: that was the last page


@dataclass
class User:
    id: str
    email: str
    created_at: int  # seconds since the Unix epoch
    plan: str
    subscription_status: str
    role: str  # "user" or "admin"


@dataclass
class ApiKey:
    key_prefix: str
    user_id: str
    created_at: int
    name: str
    full_key: str = ""  # in the answer of create_api_key only
    scope: str = ""  # "read", "write" or "admin"
    collections: list[str] = field(default_factory=list)  # names or patterns with *; empty: every collection of the user
    expires_at: int = 0  # seconds since the Unix epoch; 0: never


@dataclass
class KeyCheck:
    valid: bool
    user_id: str
    plan: str
    api_key_id: str


@dataclass
class FeedbackItem:
    """What a user made of one result. relevance_score: 1-5, 0 for none given."""

    result_id: str
    relevance_score: int = 0
    clicked: bool = False
    position: int = 0
    comment: str = ""


@dataclass
class FeedbackRecord:
    """Stored feedback on one answer."""

    number: int  # rising with time
    feedback_id: str
    created_unix_ms: int
    items: list[FeedbackItem]
    query: str = ""
    query_id: str = ""
    result_ids: list[str] = field(default_factory=list)
    context: dict[str, str] = field(default_factory=dict)


@dataclass
class FeedbackPage:
    """One page of stored feedback."""

    records: list[FeedbackRecord]
    next_after_number: int  # 0: that was the last page


class CollectionOptions(TypedDict, total=False):
    """Options of create_collection beyond name, dimension and distance."""

    shard_count: int
    replication_factor: int
    hnsw_m: int
    hnsw_ef_construct: int
    hnsw_ef_search: int
    storage: str  # "f32" or "f16"
    payload_indexes: Mapping[str, str]  # path -> "keyword", "integer", "float", "bool" or "datetime"
    default_consistency: str  # "strong", "bounded" or "eventual"
    vectors_in_memory: bool
    rerank: str  # of searches with a query that do not say: "none", "rule", "llm" or "learned"
    rerank_candidates: int
    rerank_budget_ms: int
    rerank_explore: bool


class SearchOptions(TypedDict, total=False):
    """Options of search and search_stream."""

    filter: Filter
    query: str  # text for reranking
    rerank: str  # "none", "rule", "llm" or "learned"
    rerank_candidates: int
    rerank_budget_ms: int
    rerank_explore: bool  # False: no neighbours are swapped to learn from clicks
    include_vectors: bool
    include_payload: bool  # True unless said
    payload_fields: Sequence[str]  # only these top-level keys
    offset: int
    score_threshold: float
    ef: int
    exact: bool
    consistency: str  # "strong", "bounded" or "eventual"
    max_staleness_ms: int
    timeout_ms: int  # after this the shards that answered are returned, and partial is set
    explain: bool


@dataclass(frozen=True)
class BatchProgress:
    points_done: int  # written or failed
    points_failed: int
    points_total: int


@dataclass
class BatchFailure:
    """Points [start, start + count) of the batch were not written (or, after a lost answer, perhaps). `request_id` names the
    request: sending it again under the same id applies it once."""

    start: int
    count: int
    ids: list[str]
    error: VectronError
    request_id: str


@dataclass
class UpsertReport:
    """What became of a batch. int(report) is the number of points written."""

    upserted: int = 0
    failures: list[BatchFailure] = field(default_factory=list)

    def __int__(self) -> int:
        return self.upserted

    @property
    def failed_ids(self) -> list[str]:
        return [id for failure in self.failures for id in failure.ids]

    def raise_for_failures(self) -> None:
        """Raises PartialUpsertError when any part failed."""
        if not self.failures:
            return
        first = self.failures[0]
        failed = sum(failure.count for failure in self.failures)
        raise PartialUpsertError(
            f"{failed} points were not written, {self.upserted} were; points {first.start} to {first.start + first.count - 1}: "
            f"{first.error} [error.report lists every failure; upserting its failed_ids again is safe]",
            self,
        ) from first.error


ProgressCallback = Callable[[BatchProgress], None]
Payloads = Iterable[Mapping[str, Any] | None]
