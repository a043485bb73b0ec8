"""The asyncio client: the methods of VectronClient, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import grpc
from typing_extensions import Self, Unpack

from vectron import batch, calls
from vectron.admin import Admin
from vectron.calls import Call
from vectron.errors import VectronError, from_rpc_error
from vectron.filters import Filter
from vectron.options import ClientOptions
from vectron.transport import Connection, Credential
from vectron.types import (
    ApiKey,
    CollectionOptions,
    CollectionStatus,
    FeedbackItem,
    KeyCheck,
    Page,
    Payloads,
    Point,
    ProgressCallback,
    SearchOptions,
    SearchResults,
    UpsertReport,
    User,
)
from vectron.wire import Vector

T = TypeVar("T")


class AsyncVectronClient:
    """A connection to a Vectron gateway for one event loop. Use it in an `async with`, or await close().

    Takes what VectronClient takes; its methods are those of VectronClient, to be awaited, and scroll and search_stream are
    asynchronous iterators. Cancelling a task cancels its call.
    """

    def __init__(
        self,
        host: str,
        api_key: Credential = None,
        options: ClientOptions | None = None,
        *,
        token: Credential = None,
        **overrides: Any,
    ):
        self._connection = Connection(host, token if token is not None else api_key, options, overrides)
        self._channels: dict[str, grpc.aio.Channel] = {}  # by host, opened within the event loop that first needs them
        self._stubs: dict[str, Any] = {}
        self._closed = False

    @property
    def host(self) -> str:
        return self._connection.host

    @property
    def options(self) -> ClientOptions:
        return self._connection.options

    async def close(self) -> None:
        """Cancels what is under way. May be called twice."""
        self._closed = True
        for channel in self._channels.values():
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

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
        written = 0
        for chunk in batch.chunks(collection, encoded, insert_only=insert_only, request_id=request_id):
            try:
                written += await self._run(calls.upsert(chunk.request), timeout)
            except VectronError as error:
                if chunk.start:
                    error.message = f"points from number {chunk.start} on (the {written} before are written): {error}"
                    error.args = (error.message,)
                raise
        return written

    async def upsert_batch(
        self,
        collection: str,
        points: Iterable[Point] | None = None,
        *,
        ids: Sequence[str] | None = None,
        vectors: Any = None,
        payloads: Payloads | None = None,
        batch_size: int = batch.MAX_UPSERT_POINTS,
        max_batch_bytes: int = batch.DEFAULT_BATCH_BYTES,
        concurrency: int = 4,
        progress: ProgressCallback | None = None,
        raise_on_failure: bool = True,
        insert_only: bool = False,
        timeout: float | None = None,
    ) -> UpsertReport:
        """Writes many points in parallel requests of at most batch_size points and max_batch_bytes bytes.

        concurrency: requests under way at once; their bytes are all that is held. progress: called after each request, by one
        thread at a time. timeout: of one request. A part that fails does not stop the others: PartialUpsertError, or with
        raise_on_failure=False the report's failures, name it. Points of one id in different requests are written in any order.
        InvalidArgumentError for a bad point ends the batch; requests sent before it stay sent.
        """
        total = len(ids) if ids is not None else len(points) if isinstance(points, Sequence) else 0
        tally = batch.Tally(total, progress)
        encoded = batch.rows(points, ids, vectors, payloads)
        parts = batch.chunks(
            collection,
            encoded,
            max_points=batch_size,
            max_bytes=max_batch_bytes,
            insert_only=insert_only,
        )
        running: dict[asyncio.Task[int], batch.Chunk] = {}

        async def collect(enough: int) -> None:
            while len(running) > enough:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    chunk = running.pop(task)
                    try:
                        tally.written(chunk, task.result())
                    except VectronError as error:
                        tally.failed(chunk, error)

        try:
            for chunk in parts:
                running[asyncio.create_task(self._send(chunk, timeout))] = chunk
                await collect(max(1, concurrency) - 1)
            await collect(0)
        finally:
            for task in running:
                task.cancel()
        return tally.finish(raise_on_failure)

    async def _send(self, chunk: batch.Chunk, timeout: float | None) -> int:
        return await self._run(calls.upsert(chunk.request), timeout)

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
        timeout: float | None = None,
    ) -> Page:
        """One page of points by id; go on with after_id=page.next_after_id until that is empty. A page may hold fewer points
        than the limit, even none, before the end."""
        return await self._run(calls.scroll(collection, after_id, limit, filter, include_vectors, include_payload), timeout)

    async def scroll(
        self,
        collection: str,
        *,
        filter: Filter | None = None,
        include_vectors: bool = False,
        include_payload: bool = True,
        page_size: int = 1_000,
    ) -> AsyncIterator[Point]:
        """All points that pass the filter, by id, page after page."""
        after = ""
        while True:
            page = await self.scroll_page(
                collection,
                after_id=after,
                limit=page_size,
                filter=filter,
                include_vectors=include_vectors,
                include_payload=include_payload,
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

    def search_stream(
        self,
        collection: str,
        vector: Vector,
        top_k: int = 10,
        *,
        timeout: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> AsyncIterator[SearchResults]:
        """Like search; each answer is the best so far, the final one has `last` set. If the server goes away in between, the
        search is asked again and better answers follow."""
        return self._stream(calls.search_stream(collection, vector, top_k, options), timeout)

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
        """plan: "free" or "paid". The token that names the new plan is used from then on."""
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

    @property
    def admin(self) -> Admin:
        """Health, workers, collections and alerts, over the gateway's HTTP port (option http_url)."""
        return Admin(self._connection)

    # --- How a call is made ---

    def _channel(self, path: str) -> grpc.aio.Channel:
        auth_host = self.options.auth_host if path.startswith(calls.AUTH) else None
        host = auth_host or self.host
        channel = self._channels.get(host)
        if channel is None:
            tls = self._connection.tls()
            arguments = self.options.channel_arguments()
            channel = grpc.aio.secure_channel(host, tls, arguments) if tls else grpc.aio.insecure_channel(host, arguments)
            self._channels[host] = channel
        return channel

    def _stub(self, call: Call[Any], stream: bool) -> Any:
        if self._closed:
            raise VectronError("the client is closed; make a new one", code="CANCELLED")
        stub = self._stubs.get(call.path)
        if stub is None:
            channel = self._channel(call.path)
            stub = channel.unary_stream(call.path) if stream else channel.unary_unary(call.path)
            self._stubs[call.path] = stub
        return stub

    def _arguments(self, call: Call[Any], seconds: float) -> dict[str, Any]:
        connection = self._connection
        return {"timeout": seconds, "metadata": connection.metadata(call.metadata), "compression": connection.compression}

    async def _run(self, call: Call[T], timeout: float | None) -> T:
        budget = self._connection.budget(timeout)
        stub = self._stub(call, stream=False)
        while True:
            try:
                return call.parse(await stub(call.request, **self._arguments(call, budget.next_attempt_seconds())))
            except grpc.RpcError as error:
                await self._pause_or_raise(error, call.kind, budget)

    async def _stream(self, call: Call[T], timeout: float | None) -> AsyncIterator[T]:
        budget = self._connection.budget(timeout)
        stub = self._stub(call, stream=True)
        while True:
            answers = stub(call.request, **self._arguments(call, budget.next_attempt_seconds()))
            try:
                async for raw in answers:
                    yield call.parse(raw)
                return
            except grpc.RpcError as error:
                await self._pause_or_raise(error, call.kind, budget)
            finally:
                answers.cancel()  # the caller may have stopped listening

    async def _pause_or_raise(self, rpc_error: grpc.RpcError, kind: str, budget: Any) -> None:
        error = from_rpc_error(rpc_error, self.host)
        pause = None if self._closed else budget.pause_seconds(error, kind)
        if pause is None:
            raise error from None
        await asyncio.sleep(pause)
