"""The calls of both clients that are no stream and run nothing in parallel.

Those of the blocking client are made from this file as well: generate.py writes methods.py, without `async` and `await`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from typing_extensions import Unpack

from vectron import batch, calls, frames
from vectron.calls import Call
from vectron.errors import VectronError
from vectron.filters import Filter
from vectron.transport import Connection
from vectron.types import (
    ApiKey,
    CollectionOptions,
    CollectionStatus,
    FeedbackItem,
    FeedbackPage,
    KeyCheck,
    Page,
    Payloads,
    Point,
    SearchOptions,
    SearchResults,
    UpsertReport,
    User,
)
from vectron.wire import Vector

T = TypeVar("T")


class AsyncMethods:
    """The calls that are one request and one answer, and those made of several such."""

    _connection: Connection
    upsert_batch: Any

    async def _run(self, call: Call[T], timeout: float | None) -> T:
        raise NotImplementedError

    # --- Collections ---

    async def create_collection(
        self,
        name: str,
        dimension: int,
        distance: str = "euclidean",
        *,
        timeout: float | None = None,
        **options: Unpack[CollectionOptions],
    ) -> None:
        """Makes an empty collection. distance: "euclidean", "cosine" or "dot". Errors: AlreadyExistsError."""
        await self._run(calls.create_collection(name, dimension, distance, options), timeout)

    async def delete_collection(self, name: str, *, timeout: float | None = None) -> None:
        """Deletes a collection and its points. Errors: NotFoundError."""
        await self._run(calls.delete_collection(name), timeout)

    async def list_collections(self, *, timeout: float | None = None) -> list[str]:
        """The names, sorted."""
        return await self._run(calls.list_collections(), timeout)

    async def get_collection_status(self, name: str, *, timeout: float | None = None) -> CollectionStatus:
        """Schema, shards and sizes. Errors: NotFoundError."""
        return await self._run(calls.get_collection_status(name), timeout)

    # --- Points ---

    async def upsert(
        self,
        collection: str,
        points: Iterable[Point] | None = None,
        *,
        ids: Sequence[str] | None = None,
        vectors: Any = None,
        payloads: Payloads | None = None,
        insert_only: bool = False,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Writes points, replacing those of the same id; the number written. What is too large for one request is split; the
        parts are written in order, and an error says which part failed.

        Either points, or ids with vectors (an n x d array or a sequence) and perhaps payloads.
        insert_only: AlreadyExistsError where a point exists. request_id: to repeat this very write later; made up otherwise.
        """
        encoded = batch.rows(points, ids, vectors, payloads)
        parts = batch.chunks(collection, encoded, insert_only=insert_only, request_id=request_id)
        return sum(await self._in_order(parts, calls.upsert, timeout))

    async def upsert_versions(
        self,
        collection: str,
        points: Iterable[Point] | None = None,
        *,
        ids: Sequence[str] | None = None,
        vectors: Any = None,
        payloads: Payloads | None = None,
        insert_only: bool = False,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> list[int]:
        """Like upsert; the version of each point, in their order: what get says until the next write."""
        encoded = batch.rows(points, ids, vectors, payloads)
        parts = batch.chunks(collection, encoded, insert_only=insert_only, return_versions=True, request_id=request_id)
        return [version for part in await self._in_order(parts, calls.upsert_versions, timeout) for version in part]

    async def _in_order(self, parts: Iterable[batch.Chunk], call: Callable[[bytes], Call[T]], timeout: float | None) -> list[T]:
        answers = []
        for chunk in parts:
            try:
                answers.append(await self._run(call(chunk.request), timeout))
            except VectronError as error:
                if chunk.start:
                    error.message = f"points from number {chunk.start} on (the {chunk.start} before are written): {error}"
                    error.args = (error.message,)
                raise
        return answers

    async def upsert_frame(
        self,
        collection: str,
        frame: Any,
        *,
        id: str | None = "id",
        vector: str | Sequence[str] = "vector",
        payload: Sequence[str] | None = None,
        **options: Any,
    ) -> UpsertReport:
        """Writes the rows of a pandas DataFrame, or of an Arrow table or record batch, as upsert_batch does.

        id: the column of the ids; None: the index of a DataFrame. vector: the column of the vectors (arrays or lists), or the
        names of one column per component. payload: columns that become payload fields; None: all the others. A missing value
        leaves its field out. options: those of upsert_batch.
        """
        ids, vectors, payloads = frames.columns(frame, id, vector, payload)
        report: UpsertReport = await self.upsert_batch(collection, ids=ids, vectors=vectors, payloads=payloads, **options)
        return report

    async def get(
        self,
        collection: str,
        id: str,
        *,
        consistency: str | None = None,
        max_staleness_ms: int = 0,
        timeout: float | None = None,
    ) -> Point:
        """One point with its vector (float32 array) and payload. Errors: NotFoundError."""
        return await self._run(calls.get(collection, id, consistency, max_staleness_ms), timeout)

    async def delete(self, collection: str, id: str, *, request_id: str | None = None, timeout: float | None = None) -> None:
        """Deletes one point; deleting what is not there succeeds."""
        await self._run(calls.delete(collection, id, request_id), timeout)

    async def scroll_page(
        self,
        collection: str,
        *,
        after_id: str = "",
        limit: int = 100,
        filter: Filter | None = None,
        include_vectors: bool = False,
        include_payload: bool = True,
        consistency: str | None = None,
        max_staleness_ms: int = 0,
        timeout: float | None = None,
    ) -> Page:
        """One page of points by id; go on with after_id=page.next_after_id until that is empty. A page may hold fewer points
        than the limit, even none, before the end."""
        call = calls.scroll(
            collection, after_id, limit, filter, include_vectors, include_payload, consistency, max_staleness_ms
        )
        return await self._run(call, timeout)

    async def scroll(
        self,
        collection: str,
        *,
        filter: Filter | None = None,
        include_vectors: bool = False,
        include_payload: bool = True,
        page_size: int = 1_000,
        consistency: str | None = None,
        max_staleness_ms: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[Point]:
        """All points that pass the filter, by id, page after page. timeout: of one page."""
        after = ""
        while True:
            page = await self.scroll_page(
                collection,
                after_id=after,
                limit=page_size,
                filter=filter,
                include_vectors=include_vectors,
                include_payload=include_payload,
                consistency=consistency,
                max_staleness_ms=max_staleness_ms,
                timeout=timeout,
            )
            for point in page.points:
                yield point
            after = page.next_after_id
            if not after:
                return

    # --- Search ---

    async def search(
        self,
        collection: str,
        vector: Vector,
        top_k: int = 10,
        *,
        timeout: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchResults:
        """The nearest points, best first. vector: any sequence of numbers or a numpy array."""
        return await self._run(calls.search(collection, vector, top_k, options), timeout)

    async def submit_feedback(
        self,
        collection: str,
        items: Sequence[FeedbackItem],
        *,
        query: str = "",
        query_id: str = "",
        result_ids: Sequence[str] = (),
        context: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> str:
        """Tells what a user made of a search's results; query_id is that of the answer. Returns the feedback's id."""
        return await self._run(calls.submit_feedback(collection, items, query, query_id, result_ids, context or {}), timeout)

    async def list_feedback(
        self, collection: str, *, after_number: int = 0, limit: int = 100, timeout: float | None = None
    ) -> FeedbackPage:
        """One page of the stored feedback, oldest first; go on with after_number=page.next_after_number until that is 0."""
        return await self._run(calls.list_feedback(collection, after_number, limit), timeout)

    async def get_ranking(self, collection: str, *, timeout: float | None = None) -> dict[str, Any]:
        """What feedback has taught of a collection: state, evidence, saved versions. For administrators."""
        return await self._run(calls.get_ranking(collection), timeout)

    async def control_ranking(
        self, collection: str, action: str, *, version: int = 0, timeout: float | None = None
    ) -> dict[str, Any]:
        """action: "promote", "rollback", "resume", "restore" (a saved version) or "reset"; what holds then. For
        administrators."""
        return await self._run(calls.control_ranking(collection, action, version), timeout)

    # --- Users and keys ---

    async def register_user(
        self, email: str, password: str, *, bootstrap_secret: str | None = None, timeout: float | None = None
    ) -> User:
        """Makes a user. bootstrap_secret: of the first start; makes the first administrator."""
        return await self._run(calls.register_user(email, password, bootstrap_secret), timeout)

    async def login(self, email: str, password: str, *, timeout: float | None = None) -> User:
        """Logs in; this client uses the token from then on."""
        token, user = await self._run(calls.login(email, password), timeout)
        self._connection.credential = token
        return user

    async def refresh_token(self, *, timeout: float | None = None) -> str:
        """A new token for the login's; this client uses it from then on."""
        token = await self._run(calls.refresh_token(), timeout)
        self._connection.credential = token
        return token

    async def logout(self, *, timeout: float | None = None) -> None:
        """Ends the login; its token is refused from then on."""
        await self._run(calls.logout(), timeout)
        self._connection.credential = None

    async def change_password(self, old_password: str, new_password: str, *, timeout: float | None = None) -> None:
        """Ends the other logins; this client goes on with a new token."""
        self._connection.credential = await self._run(calls.change_password(old_password, new_password), timeout)

    async def get_user_profile(self, *, timeout: float | None = None) -> User:
        return await self._run(calls.get_user_profile(), timeout)

    async def update_user_profile(self, plan: str, *, timeout: float | None = None) -> User:
        """plan: "free" or "paid". The token that names the new plan is used from then on. PermissionDeniedError for users who
        are no administrators."""
        token, user = await self._run(calls.update_user_profile(plan), timeout)
        if token:
            self._connection.credential = token
        return user

    async def delete_user(self, password: str, *, timeout: float | None = None) -> None:
        """Deletes the caller's account."""
        await self._run(calls.delete_user(password), timeout)

    async def create_api_key(
        self,
        name: str,
        *,
        scope: str = "write",
        collections: Sequence[str] = (),
        expires_at: int = 0,
        timeout: float | None = None,
    ) -> ApiKey:
        """A new key; its full_key is shown in this answer only. scope: "read", "write" or "admin". collections: names or
        patterns with *; empty: all. expires_at: seconds since the Unix epoch; 0: never."""
        return await self._run(calls.create_api_key(name, scope, collections, expires_at), timeout)

    async def list_api_keys(self, *, timeout: float | None = None) -> list[ApiKey]:
        return await self._run(calls.list_api_keys(), timeout)

    async def delete_api_key(self, key_prefix: str, *, timeout: float | None = None) -> None:
        await self._run(calls.delete_api_key(key_prefix), timeout)

    async def validate_api_key(self, full_key: str, *, timeout: float | None = None) -> KeyCheck:
        return await self._run(calls.validate_api_key(full_key), timeout)

    async def create_sdk_jwt(self, api_key_id: str, *, timeout: float | None = None) -> str:
        """A token of 7 days for the key with this prefix."""
        return await self._run(calls.create_sdk_jwt(api_key_id), timeout)

    async def list_users(self, *, after_id: str = "", limit: int = 100, timeout: float | None = None) -> tuple[list[User], str]:
        """One page of users by id, and where to go on (empty: that was the last). For administrators."""
        return await self._run(calls.list_users(after_id, limit), timeout)

    async def update_user(
        self,
        user_id: str,
        *,
        plan: str | None = None,
        subscription_status: str | None = None,
        role: str | None = None,
        timeout: float | None = None,
    ) -> User:
        """Changes what is given. For administrators."""
        return await self._run(calls.update_user(user_id, plan, subscription_status, role), timeout)

    async def rotate_signing_key(self, *, timeout: float | None = None) -> str:
        """Signs tokens with a new key from now on; those signed before stay good until they expire. The key's id. For
        administrators."""
        return await self._run(calls.rotate_signing_key(), timeout)
