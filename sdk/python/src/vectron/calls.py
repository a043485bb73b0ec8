"""Every call of the service as data: its path, its request's bytes, how to read the answer, and whether it may be repeated.

The blocking and the asyncio client differ only in how they carry these out.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from google.protobuf import json_format

from vectron import auth_pb2 as auth
from vectron import filters, wire
from vectron import reranker_pb2 as reranker
from vectron import vectron_pb2 as pb
from vectron.errors import InvalidArgumentError
from vectron.options import NAMED_WRITE, OTHER_WRITE, READ
from vectron.types import (
    ApiKey,
    CollectionOptions,
    CollectionStatus,
    FeedbackItem,
    FeedbackPage,
    FeedbackRecord,
    KeyCheck,
    Page,
    Point,
    RerankInfo,
    SearchOptions,
    SearchResult,
    SearchResults,
    Shard,
    User,
)
from vectron.wire import Vector

T = TypeVar("T")

VECTRON = "/vectron.v1.VectronService/"
AUTH = "/vectron.auth.v1.AuthService/"


@dataclass(frozen=True)
class Call(Generic[T]):
    path: str
    request: bytes
    parse: Callable[[bytes], T]
    kind: str
    metadata: tuple[tuple[str, str], ...] = ()


def _enum(kind: Any, value: str, what: str, prefix: str = "") -> Any:
    """The number of an enum's name in lower case."""
    try:
        return kind.Value(prefix + value.upper())
    except (ValueError, AttributeError):
        names = [name.removeprefix(prefix).lower() for name in kind.keys() if not name.endswith("UNSPECIFIED")]
        raise InvalidArgumentError(f"{what} is {value!r}; it must be one of {', '.join(names)}") from None


def _consistency(value: str | None) -> Any:
    return _enum(pb.Consistency, value, "consistency") if value else 0


def _rerank(options: Mapping[str, Any]) -> pb.RerankOptions:
    rerank = pb.RerankOptions(
        strategy=options.get("rerank", ""),
        candidates=options.get("rerank_candidates", 0),
        budget_ms=options.get("rerank_budget_ms", 0),
    )
    if options.get("rerank_explore") is not None:
        rerank.explore = options["rerank_explore"]
    return rerank


def create_collection(name: str, dimension: int, distance: str, options: CollectionOptions) -> Call[None]:
    _known(options, CollectionOptions, "create_collection")
    request = pb.CreateCollectionRequest(
        name=name,
        dimension=dimension,
        distance=distance,
        shard_count=options.get("shard_count", 0),
        replication_factor=options.get("replication_factor", 0),
        vectors_in_memory=options.get("vectors_in_memory", False),
        default_consistency=_consistency(options.get("default_consistency")),
        storage=_enum(pb.VectorStorage, options.get("storage", "f32"), "storage", "VECTOR_STORAGE_"),
        payload_indexes=[
            pb.PayloadIndex(field=path, type=_enum(pb.PayloadType, kind, f"the type of payload index {path!r}"))
            for path, kind in options.get("payload_indexes", {}).items()
        ],
    )
    if any(key.startswith("hnsw_") for key in options):
        request.hnsw.m = options.get("hnsw_m", 0)
        request.hnsw.ef_construct = options.get("hnsw_ef_construct", 0)
        request.hnsw.ef_search = options.get("hnsw_ef_search", 0)
    if any(key.startswith("rerank") for key in options):
        request.rerank.CopyFrom(_rerank(options))
    return Call(VECTRON + "CreateCollection", request.SerializeToString(), lambda _: None, OTHER_WRITE)


def delete_collection(name: str) -> Call[None]:
    request = pb.DeleteCollectionRequest(name=name)
    return Call(VECTRON + "DeleteCollection", request.SerializeToString(), lambda _: None, OTHER_WRITE)


def list_collections() -> Call[list[str]]:
    return Call(
        VECTRON + "ListCollections", b"", lambda raw: list(pb.ListCollectionsResponse.FromString(raw).collections), READ
    )


def _options(made: pb.CreateCollectionRequest) -> CollectionOptions:
    options = CollectionOptions(
        shard_count=made.shard_count,
        replication_factor=made.replication_factor,
        hnsw_m=made.hnsw.m,
        hnsw_ef_construct=made.hnsw.ef_construct,
        hnsw_ef_search=made.hnsw.ef_search,
        storage=pb.VectorStorage.Name(made.storage).removeprefix("VECTOR_STORAGE_").lower(),
        payload_indexes={index.field: pb.PayloadType.Name(index.type).lower() for index in made.payload_indexes},
        vectors_in_memory=made.vectors_in_memory,
    )
    if made.default_consistency:
        options["default_consistency"] = pb.Consistency.Name(made.default_consistency).lower()
    if made.HasField("rerank"):
        options["rerank"] = made.rerank.strategy
        options["rerank_candidates"] = made.rerank.candidates
        options["rerank_budget_ms"] = made.rerank.budget_ms
        if made.rerank.HasField("explore"):
            options["rerank_explore"] = made.rerank.explore
    return options


def get_collection_status(name: str) -> Call[CollectionStatus]:
    def parse(raw: bytes) -> CollectionStatus:
        status = pb.GetCollectionStatusResponse.FromString(raw)
        return CollectionStatus(
            name=status.name,
            dimension=status.dimension,
            distance=status.distance,
            shards=[Shard(s.shard_id, list(s.replicas), s.leader_id, s.ready) for s in status.shards],
            point_count=status.point_count,
            indexed_count=status.indexed_count,
            size_bytes=status.size_bytes,
            options=_options(status.options),
        )

    request = pb.GetCollectionStatusRequest(name=name)
    return Call(VECTRON + "GetCollectionStatus", request.SerializeToString(), parse, READ)


def upsert(request: bytes) -> Call[int]:
    return Call(VECTRON + "Upsert", request, lambda raw: pb.UpsertResponse.FromString(raw).upserted, NAMED_WRITE)


def upsert_versions(request: bytes) -> Call[list[int]]:
    return Call(VECTRON + "Upsert", request, lambda raw: list(pb.UpsertResponse.FromString(raw).versions), NAMED_WRITE)


def _known(given: Mapping[str, Any], known: Any, call: str) -> None:
    """A misspelt option would otherwise be ignored."""
    unknown = set(given) - set(known.__annotations__)
    if unknown:
        raise InvalidArgumentError(
            f"{call} has no option {', '.join(sorted(unknown))}; there are {', '.join(sorted(known.__annotations__))}"
        )


def search(collection: str, vector: Vector, top_k: int, options: SearchOptions) -> Call[SearchResults]:
    packed = wire.vector_bytes(vector, "the query")
    request = pb.SearchRequest(collection=collection, top_k=top_k)
    if options:  # most searches have none, and each field that is set costs time
        _set_options(request, options)
    data = request.SerializeToString() + wire.bytes_field(2, packed)
    return Call(VECTRON + "Search", data, _parse_with_vectors if request.include_vectors else parse_search, READ)


def _set_options(request: pb.SearchRequest, options: SearchOptions) -> None:
    _known(options, SearchOptions, "search")
    request.MergeFrom(
        pb.SearchRequest(
            query=options.get("query", ""),
            timeout_ms=options.get("timeout_ms", 0),
            include_vectors=options.get("include_vectors", False),
            filter=filters.to_proto(options.get("filter")),
            offset=options.get("offset", 0),
            score_threshold=options.get("score_threshold"),
            consistency=_consistency(options.get("consistency")),
            max_staleness_ms=options.get("max_staleness_ms", 0),
            explain=options.get("explain", False),
            payload_fields=options.get("payload_fields"),
        )
    )
    if not options.get("include_payload", True):
        request.include_metadata = False
    if options.get("ef") or options.get("exact"):
        request.params.ef = options.get("ef", 0)
        request.params.exact = options.get("exact", False)
    if any(key.startswith("rerank") for key in options):
        request.rerank.CopyFrom(_rerank(options))


def search_stream(collection: str, vector: Vector, top_k: int, options: SearchOptions) -> Call[SearchResults]:
    call = search(collection, vector, top_k, options)
    return Call(VECTRON + "SearchStream", call.request, call.parse, READ)


def parse_search(raw: bytes) -> SearchResults:
    """Without vectors: looking whether there are any takes as long as the rest."""
    response = pb.SearchResponse.FromString(raw)
    return _about(response, [SearchResult(hit.id, hit.score, _payload(hit), None, hit.version) for hit in response.results])


def _parse_with_vectors(raw: bytes) -> SearchResults:
    response = pb.SearchResponse.FromString(raw)
    hits = [
        SearchResult(hit.id, hit.score, _payload(hit), np.array(hit.vector, dtype=np.float32), hit.version)
        for hit in response.results
    ]
    return _about(response, hits)


def _about(response: pb.SearchResponse, hits: list[SearchResult]) -> SearchResults:
    results = SearchResults(hits)
    results.query_id = response.query_id
    results.reranked = response.reranked
    results.partial = response.partial
    if response.partial:
        results.missing_shards = list(response.missing_shards)
    results.last = response.last
    if response.HasField("rerank"):
        about = response.rerank
        results.rerank = RerankInfo(about.strategy, about.reason, about.from_cache, about.explored, about.time_us)
    if response.HasField("explain"):
        results.explain = json_format.MessageToDict(response.explain, preserving_proto_field_name=True)
    return results


def _payload(message: Any) -> dict[str, Any]:
    """Typed values win over the text form of the same key."""
    text = message.payload
    if not message.HasField("fields"):
        return dict(text) if text else {}
    payload = wire.decode_struct(message.fields)
    if len(payload) < len(text):
        payload = {**text, **payload}
    return payload


def _point(message: pb.Point) -> Point:
    return Point(message.id, np.array(message.vector, dtype=np.float32), _payload(message), message.version)


def get(collection: str, id: str, consistency: str | None, max_staleness_ms: int) -> Call[Point]:
    request = pb.GetRequest(
        collection=collection, id=id, consistency=_consistency(consistency), max_staleness_ms=max_staleness_ms
    )
    return Call(VECTRON + "Get", request.SerializeToString(), lambda raw: _point(pb.GetResponse.FromString(raw).point), READ)


def delete(collection: str, id: str, request_id: str | None) -> Call[None]:
    request = pb.DeleteRequest(collection=collection, id=id, request_id=request_id or str(uuid.uuid4()))
    return Call(VECTRON + "Delete", request.SerializeToString(), lambda _: None, NAMED_WRITE)


def scroll(
    collection: str,
    after_id: str,
    limit: int,
    filter: filters.Filter | None,
    include_vectors: bool,
    include_payload: bool,
    consistency: str | None,
    max_staleness_ms: int,
) -> Call[Page]:
    request = pb.ScrollRequest(
        collection=collection,
        after_id=after_id,
        limit=limit,
        filter=filters.to_proto(filter),
        include_vectors=include_vectors,
        include_metadata=include_payload,
        consistency=_consistency(consistency),
        max_staleness_ms=max_staleness_ms,
    )

    def parse(raw: bytes) -> Page:
        response = pb.ScrollResponse.FromString(raw)
        return Page([_point(point) for point in response.points], response.next_after_id)

    return Call(VECTRON + "ScrollPoints", request.SerializeToString(), parse, READ)


def submit_feedback(
    collection: str,
    items: Sequence[FeedbackItem],
    query: str,
    query_id: str,
    result_ids: Sequence[str],
    context: Mapping[str, str],
) -> Call[str]:
    request = pb.SubmitFeedbackRequest(
        collection=collection,
        query=query,
        query_id=query_id,
        result_ids=result_ids,
        context=context,
        feedback_items=[
            pb.FeedbackItem(
                result_id=item.result_id,
                relevance_score=item.relevance_score,
                clicked=item.clicked,
                position=item.position,
                comment=item.comment,
            )
            for item in items
        ],
    )
    return Call(
        VECTRON + "SubmitFeedback",
        request.SerializeToString(),
        lambda raw: pb.SubmitFeedbackResponse.FromString(raw).feedback_id,
        OTHER_WRITE,
    )


def list_feedback(collection: str, after_number: int, limit: int) -> Call[FeedbackPage]:
    def parse(raw: bytes) -> FeedbackPage:
        response = pb.ListFeedbackResponse.FromString(raw)
        records = [
            FeedbackRecord(
                record.number,
                record.feedback_id,
                record.created_unix_ms,
                [
                    FeedbackItem(item.result_id, item.relevance_score, item.clicked, item.position, item.comment)
                    for item in record.feedback_items
                ],
                record.query,
                record.query_id,
                list(record.result_ids),
                dict(record.context),
            )
            for record in response.records
        ]
        return FeedbackPage(records, response.next_after_number)

    request = pb.ListFeedbackRequest(collection=collection, after_number=after_number, limit=limit)
    return Call(VECTRON + "ListFeedback", request.SerializeToString(), parse, READ)


def _model_status(raw: bytes) -> dict[str, Any]:
    status: dict[str, Any] = json_format.MessageToDict(reranker.ModelStatus.FromString(raw), preserving_proto_field_name=True)
    return status


def get_ranking(collection: str) -> Call[dict[str, Any]]:
    request = pb.GetRankingRequest(collection=collection)
    return Call(VECTRON + "GetRanking", request.SerializeToString(), _model_status, READ)


def control_ranking(collection: str, action: str, version: int) -> Call[dict[str, Any]]:
    request = pb.ControlRankingRequest(
        collection=collection, action=_enum(reranker.ModelAction, action, "action", "MODEL_"), version=version
    )
    return Call(VECTRON + "ControlRanking", request.SerializeToString(), _model_status, OTHER_WRITE)


# --- Users and keys ---


def _user(message: auth.UserProfile) -> User:
    return User(
        message.id,
        message.email,
        message.created_at,
        auth.Plan.Name(message.plan),
        auth.SubscriptionStatus.Name(message.subscription_status),
        auth.Role.Name(message.role).removeprefix("ROLE_").lower(),
    )


def _key(message: auth.APIKey, full_key: str = "") -> ApiKey:
    return ApiKey(
        message.key_prefix,
        message.user_id,
        message.created_at,
        message.name,
        full_key,
        auth.KeyScope.Name(message.scope).removeprefix("KEY_SCOPE_").lower(),
        list(message.collections),
        message.expires_at,
    )


def register_user(email: str, password: str, bootstrap_secret: str | None) -> Call[User]:
    request = auth.RegisterUserRequest(email=email, password=password)
    return Call(
        AUTH + "RegisterUser",
        request.SerializeToString(),
        lambda raw: _user(auth.RegisterUserResponse.FromString(raw).user),
        OTHER_WRITE,
        (("x-vectron-bootstrap", bootstrap_secret),) if bootstrap_secret else (),
    )


def login(email: str, password: str) -> Call[tuple[str, User]]:
    def parse(raw: bytes) -> tuple[str, User]:
        response = auth.LoginResponse.FromString(raw)
        return response.jwt_token, _user(response.user)

    return Call(AUTH + "Login", auth.LoginRequest(email=email, password=password).SerializeToString(), parse, OTHER_WRITE)


def refresh_token() -> Call[str]:
    return Call(AUTH + "RefreshToken", b"", lambda raw: auth.RefreshTokenResponse.FromString(raw).jwt_token, OTHER_WRITE)


def get_user_profile() -> Call[User]:
    return Call(AUTH + "GetUserProfile", b"", lambda raw: _user(auth.GetUserProfileResponse.FromString(raw).user), READ)


def update_user_profile(plan: str) -> Call[tuple[str, User]]:
    def parse(raw: bytes) -> tuple[str, User]:
        response = auth.UpdateUserProfileResponse.FromString(raw)
        return response.jwt_token, _user(response.user)

    request = auth.UpdateUserProfileRequest(plan=_enum(auth.Plan, plan, "plan"))
    return Call(AUTH + "UpdateUserProfile", request.SerializeToString(), parse, OTHER_WRITE)


def delete_user(password: str) -> Call[None]:
    return Call(AUTH + "DeleteUser", auth.DeleteUserRequest(password=password).SerializeToString(), lambda _: None, OTHER_WRITE)


def logout() -> Call[None]:
    return Call(AUTH + "Logout", b"", lambda _: None, OTHER_WRITE)


def change_password(old_password: str, new_password: str) -> Call[str]:
    request = auth.ChangePasswordRequest(old_password=old_password, new_password=new_password)
    return Call(
        AUTH + "ChangePassword",
        request.SerializeToString(),
        lambda raw: auth.ChangePasswordResponse.FromString(raw).jwt_token,
        OTHER_WRITE,
    )


def list_users(after_id: str, limit: int) -> Call[tuple[list[User], str]]:
    def parse(raw: bytes) -> tuple[list[User], str]:
        response = auth.ListUsersResponse.FromString(raw)
        return [_user(user) for user in response.users], response.next_after_id

    return Call(AUTH + "ListUsers", auth.ListUsersRequest(after_id=after_id, limit=limit).SerializeToString(), parse, READ)


def update_user(user_id: str, plan: str | None, subscription_status: str | None, role: str | None) -> Call[User]:
    request = auth.UpdateUserRequest(
        user_id=user_id,
        plan=_enum(auth.Plan, plan, "plan") if plan else None,
        subscription_status=_enum(auth.SubscriptionStatus, subscription_status, "subscription_status")
        if subscription_status
        else None,
        role=_enum(auth.Role, role, "role", "ROLE_") if role else None,
    )
    return Call(
        AUTH + "UpdateUser",
        request.SerializeToString(),
        lambda raw: _user(auth.UpdateUserResponse.FromString(raw).user),
        OTHER_WRITE,
    )


def create_api_key(name: str, scope: str, collections: Sequence[str], expires_at: int) -> Call[ApiKey]:
    def parse(raw: bytes) -> ApiKey:
        response = auth.CreateAPIKeyResponse.FromString(raw)
        return _key(response.key_info, response.full_key)

    request = auth.CreateAPIKeyRequest(
        name=name, scope=_enum(auth.KeyScope, scope, "scope", "KEY_SCOPE_"), collections=collections, expires_at=expires_at
    )
    return Call(AUTH + "CreateAPIKey", request.SerializeToString(), parse, OTHER_WRITE)


def list_api_keys() -> Call[list[ApiKey]]:
    return Call(
        AUTH + "ListAPIKeys", b"", lambda raw: [_key(key) for key in auth.ListAPIKeysResponse.FromString(raw).keys], READ
    )


def delete_api_key(key_prefix: str) -> Call[None]:
    request = auth.DeleteAPIKeyRequest(key_prefix=key_prefix)
    return Call(AUTH + "DeleteAPIKey", request.SerializeToString(), lambda _: None, OTHER_WRITE)


def validate_api_key(full_key: str) -> Call[KeyCheck]:
    def parse(raw: bytes) -> KeyCheck:
        response = auth.ValidateAPIKeyResponse.FromString(raw)
        return KeyCheck(response.valid, response.user_id, response.plan, response.api_key_id)

    return Call(AUTH + "ValidateAPIKey", auth.ValidateAPIKeyRequest(full_key=full_key).SerializeToString(), parse, READ)


def create_sdk_jwt(api_key_id: str) -> Call[str]:
    request = auth.CreateSDKJWTRequest(api_key_id=api_key_id)
    return Call(
        AUTH + "CreateSDKJWT",
        request.SerializeToString(),
        lambda raw: auth.CreateSDKJWTResponse.FromString(raw).sdk_jwt,
        OTHER_WRITE,
    )


def rotate_signing_key() -> Call[str]:
    return Call(AUTH + "RotateSigningKey", b"", lambda raw: auth.RotateSigningKeyResponse.FromString(raw).key_id, OTHER_WRITE)
