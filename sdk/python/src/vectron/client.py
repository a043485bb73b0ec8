"""The blocking client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
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


class VectronClient:
    """A connection to a Vectron gateway. Thread-safe; one client serves a whole program. Use it in a `with`, or close() it.

    host: HOST:PORT of the gateway's gRPC port. api_key: an API key (vkey-...), a JWT, or a function that returns one.
    options: a ClientOptions; any of its fields can be given by name instead, such as timeout_seconds=5.

    Every method raises subclasses of VectronError, after retries where they are safe (RetryPolicy). `timeout` of a method is in
    seconds and bounds the whole call.
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
        self._channel = self._open(host)
        auth_host = self._connection.options.auth_host
        self._auth_channel = self._open(auth_host) if auth_host else self._channel
        self._stubs: dict[str, Any] = {}
        self._closed = False

    @property
    def host(self) -> str:
        return self._connection.host

    @property
    def options(self) -> ClientOptions:
        return self._connection.options

    def close(self) -> None:
        """Cancels what is under way. May be called twice."""
        self._closed = True
        self._channel.close()
        if self._auth_channel is not self._channel:
            self._auth_channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- Collections ---

    def create_collection(
        self,
        name: str,
        dimension: int,
        distance: str = "euclidean",
        *,
        timeout: float | None = None,
        **options: Unpack[CollectionOptions],
    ) -> None:
        """Makes an empty collection. distance: "euclidean", "cosine" or "dot". Errors: AlreadyExistsError."""
        self._run(calls.create_collection(name, dimension, distance, options), timeout)

    def delete_collection(self, name: str, *, timeout: float | None = None) -> None:
        """Deletes a collection and its points. Errors: NotFoundError."""
        self._run(calls.delete_collection(name), timeout)

    def list_collections(self, *, timeout: float | None = None) -> list[str]:
        """The names, sorted."""
        return self._run(calls.list_collections(), timeout)

    def get_collection_status(self, name: str, *, timeout: float | None = None) -> CollectionStatus:
        """Schema, shards and sizes. Errors: NotFoundError."""
        return self._run(calls.get_collection_status(name), timeout)

    # --- Points ---

    def upsert(
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
                written += self._run(calls.upsert(chunk.request), timeout)
            except VectronError as error:
                if chunk.start:
                    error.message = f"points from number {chunk.start} on (the {written} before are written): {error}"
                    error.args = (error.message,)
                raise
        return written

    def upsert_batch(
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
        running: dict[Future[int], batch.Chunk] = {}

        def collect(enough: int) -> None:
            while len(running) > enough:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    chunk = running.pop(future)
                    try:
                        tally.written(chunk, future.result())
                    except VectronError as error:
                        tally.failed(chunk, error)

        with ThreadPoolExecutor(max(1, concurrency), thread_name_prefix="vectron-upsert") as pool:
            for chunk in parts:
                running[pool.submit(self._send, chunk, timeout)] = chunk
                collect(max(1, concurrency) - 1)
            collect(0)
        return tally.finish(raise_on_failure)

    def _send(self, chunk: batch.Chunk, timeout: float | None) -> int:
        return self._run(calls.upsert(chunk.request), timeout)

    def get(
        self,
        collection: str,
        id: str,
        *,
        consistency: str | None = None,
        max_staleness_ms: int = 0,
        timeout: float | None = None,
    ) -> Point:
        """One point with its vector (float32 array) and payload. Errors: NotFoundError."""
        return self._run(calls.get(collection, id, consistency, max_staleness_ms), timeout)

    def delete(self, collection: str, id: str, *, request_id: str | None = None, timeout: float | None = None) -> None:
        """Deletes one point; deleting what is not there succeeds."""
        self._run(calls.delete(collection, id, request_id), timeout)

    def scroll_page(
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
        return self._run(calls.scroll(collection, after_id, limit, filter, include_vectors, include_payload), timeout)

    def scroll(
        self,
        collection: str,
        *,
        filter: Filter | None = None,
        include_vectors: bool = False,
        include_payload: bool = True,
        page_size: int = 1_000,
    ) -> Iterator[Point]:
        """All points that pass the filter, by id, page after page."""
        after = ""
        while True:
            page = self.scroll_page(
                collection,
                after_id=after,
                limit=page_size,
                filter=filter,
                include_vectors=include_vectors,
                include_payload=include_payload,
            )
            yield from page.points
            after = page.next_after_id
            if not after:
                return

    # --- Search ---

    def search(
        self,
        collection: str,
        vector: Vector,
        top_k: int = 10,
        *,
        timeout: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchResults:
        """The nearest points, best first. vector: any sequence of numbers or a numpy array."""
        return self._run(calls.search(collection, vector, top_k, options), timeout)

    def search_stream(
        self,
        collection: str,
        vector: Vector,
        top_k: int = 10,
        *,
        timeout: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> Iterator[SearchResults]:
        """Like search; each answer is the best so far, the final one has `last` set. If the server goes away in between, the
        search is asked again and better answers follow."""
        return self._stream(calls.search_stream(collection, vector, top_k, options), timeout)

    def submit_feedback(
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
        return self._run(calls.submit_feedback(collection, items, query, query_id, result_ids, context or {}), timeout)

    # --- Users and keys ---

    def register_user(
        self, email: str, password: str, *, bootstrap_secret: str | None = None, timeout: float | None = None
    ) -> User:
        """Makes a user. bootstrap_secret: of the first start; makes the first administrator."""
        return self._run(calls.register_user(email, password, bootstrap_secret), timeout)

    def login(self, email: str, password: str, *, timeout: float | None = None) -> User:
        """Logs in; this client uses the token from then on."""
        token, user = self._run(calls.login(email, password), timeout)
        self._connection.credential = token
        return user

    def refresh_token(self, *, timeout: float | None = None) -> str:
        """A new token for the login's; this client uses it from then on."""
        token = self._run(calls.refresh_token(), timeout)
        self._connection.credential = token
        return token

    def logout(self, *, timeout: float | None = None) -> None:
        """Ends the login; its token is refused from then on."""
        self._run(calls.logout(), timeout)
        self._connection.credential = None

    def change_password(self, old_password: str, new_password: str, *, timeout: float | None = None) -> None:
        """Ends the other logins; this client goes on with a new token."""
        self._connection.credential = self._run(calls.change_password(old_password, new_password), timeout)

    def get_user_profile(self, *, timeout: float | None = None) -> User:
        return self._run(calls.get_user_profile(), timeout)

    def update_user_profile(self, plan: str, *, timeout: float | None = None) -> User:
        """plan: "free" or "paid". The token that names the new plan is used from then on."""
        token, user = self._run(calls.update_user_profile(plan), timeout)
        if token:
            self._connection.credential = token
        return user

    def delete_user(self, password: str, *, timeout: float | None = None) -> None:
        """Deletes the caller's account."""
        self._run(calls.delete_user(password), timeout)

    def create_api_key(
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
        return self._run(calls.create_api_key(name, scope, collections, expires_at), timeout)

    def list_api_keys(self, *, timeout: float | None = None) -> list[ApiKey]:
        return self._run(calls.list_api_keys(), timeout)

    def delete_api_key(self, key_prefix: str, *, timeout: float | None = None) -> None:
        self._run(calls.delete_api_key(key_prefix), timeout)

    def validate_api_key(self, full_key: str, *, timeout: float | None = None) -> KeyCheck:
        return self._run(calls.validate_api_key(full_key), timeout)

    def create_sdk_jwt(self, api_key_id: str, *, timeout: float | None = None) -> str:
        """A token of 7 days for the key with this prefix."""
        return self._run(calls.create_sdk_jwt(api_key_id), timeout)

    def list_users(self, *, after_id: str = "", limit: int = 100, timeout: float | None = None) -> tuple[list[User], str]:
        """One page of users by id, and where to go on (empty: that was the last). For administrators."""
        return self._run(calls.list_users(after_id, limit), timeout)

    def update_user(
        self,
        user_id: str,
        *,
        plan: str | None = None,
        subscription_status: str | None = None,
        role: str | None = None,
        timeout: float | None = None,
    ) -> User:
        """Changes what is given. For administrators."""
        return self._run(calls.update_user(user_id, plan, subscription_status, role), timeout)

    @property
    def admin(self) -> Admin:
        """Health, workers, collections and alerts, over the gateway's HTTP port (option http_url)."""
        return Admin(self._connection)

    # --- How a call is made ---

    def _open(self, host: str) -> grpc.Channel:
        tls = self._connection.tls()
        arguments = self.options.channel_arguments()
        return grpc.secure_channel(host, tls, arguments) if tls else grpc.insecure_channel(host, arguments)

    def _stub(self, call: Call[Any], stream: bool) -> Any:
        stub = self._stubs.get(call.path)
        if stub is None:
            channel = self._auth_channel if call.path.startswith(calls.AUTH) else self._channel
            stub = channel.unary_stream(call.path) if stream else channel.unary_unary(call.path)
            self._stubs[call.path] = stub
        return stub

    def _check_open(self) -> None:
        if self._closed:
            raise VectronError("the client is closed; make a new one", code="CANCELLED")

    def _arguments(self, call: Call[Any], seconds: float) -> dict[str, Any]:
        connection = self._connection
        return {"timeout": seconds, "metadata": connection.metadata(call.metadata), "compression": connection.compression}

    def _run(self, call: Call[T], timeout: float | None) -> T:
        self._check_open()
        budget = self._connection.budget(timeout)
        stub = self._stub(call, stream=False)
        while True:
            try:
                return call.parse(stub(call.request, **self._arguments(call, budget.next_attempt_seconds())))
            except grpc.RpcError as error:
                self._pause_or_raise(error, call.kind, budget)

    def _stream(self, call: Call[T], timeout: float | None) -> Iterator[T]:
        self._check_open()
        budget = self._connection.budget(timeout)
        stub = self._stub(call, stream=True)
        while True:
            answers = stub(call.request, **self._arguments(call, budget.next_attempt_seconds()))
            try:
                for raw in answers:
                    yield call.parse(raw)
                return
            except grpc.RpcError as error:
                self._pause_or_raise(error, call.kind, budget)
            finally:
                answers.cancel()  # the caller may have stopped listening

    def _pause_or_raise(self, rpc_error: grpc.RpcError, kind: str, budget: Any) -> None:
        error = from_rpc_error(rpc_error, self.host)
        pause = None if self._closed else budget.pause_seconds(error, kind)
        if pause is None:
            raise error from None
        time.sleep(pause)


class VectronClientPool:
    """Several connections used in turn, for programs that send more than one HTTP/2 connection carries well. Thread-safe.

    Takes what VectronClient takes, and size. `get()` lends a client; closing the pool closes them all.
    """

    def __init__(
        self, host: str, api_key: Credential = None, options: ClientOptions | None = None, *, size: int = 4, **overrides: Any
    ):
        self._clients = [VectronClient(host, api_key, options, **overrides) for _ in range(max(1, size))]
        self._next = 0
        self._lock = threading.Lock()

    def get(self) -> VectronClient:
        with self._lock:
            self._next = (self._next + 1) % len(self._clients)
            return self._clients[self._next]

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
