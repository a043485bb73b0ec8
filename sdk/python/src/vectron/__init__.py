"""Client of the Vectron vector database.

    import numpy as np
    from vectron import Point, VectronClient, field

    with VectronClient("localhost:8081", api_key="vkey-...") as client:
        client.create_collection("docs", dimension=3, distance="cosine")
        client.upsert("docs", [Point("a", [0.1, 0.2, 0.3], {"section": "sound"})])
        for result in client.search("docs", np.array([0.1, 0.2, 0.3]), filter=field("section") == "sound"):
            print(result.id, result.score, result.payload)

AsyncVectronClient is the same for asyncio.
"""

from vectron.aio import AsyncVectronClient
from vectron.client import VectronClient, VectronClientPool
from vectron.errors import (
    AbortedError,
    AlreadyExistsError,
    AuthenticationError,
    CancelledError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalServerError,
    InvalidArgumentError,
    NotFoundError,
    PartialUpsertError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
    VectronError,
)
from vectron.filters import Expression, Filter, at_least, field, has_id
from vectron.options import NO_RETRY, ClientOptions, RetryPolicy
from vectron.types import (
    ApiKey,
    BatchFailure,
    BatchProgress,
    CollectionStatus,
    FeedbackItem,
    FeedbackPage,
    FeedbackRecord,
    KeyCheck,
    Page,
    Point,
    RerankInfo,
    SearchResult,
    SearchResults,
    Shard,
    UpsertReport,
    User,
)

__version__ = "0.1.0"

__all__ = [
    "NO_RETRY",
    "AbortedError",
    "AlreadyExistsError",
    "ApiKey",
    "AsyncVectronClient",
    "AuthenticationError",
    "BatchFailure",
    "BatchProgress",
    "CancelledError",
    "ClientOptions",
    "CollectionStatus",
    "DataLossError",
    "DeadlineExceededError",
    "Expression",
    "FailedPreconditionError",
    "FeedbackItem",
    "FeedbackPage",
    "FeedbackRecord",
    "Filter",
    "InternalServerError",
    "InvalidArgumentError",
    "KeyCheck",
    "NotFoundError",
    "Page",
    "PartialUpsertError",
    "PermissionDeniedError",
    "Point",
    "RerankInfo",
    "ResourceExhaustedError",
    "RetryPolicy",
    "SearchResult",
    "SearchResults",
    "Shard",
    "UnavailableError",
    "UnimplementedError",
    "UpsertReport",
    "User",
    "VectronClient",
    "VectronClientPool",
    "VectronError",
    "at_least",
    "field",
    "has_id",
]
