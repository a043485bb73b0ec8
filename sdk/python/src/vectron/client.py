"""The blocking client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, TypeVar

import grpc
from typing_extensions import Self, Unpack

from vectron import batch, calls
from vectron.admin import Admin
from vectron.calls import Call
from vectron.errors import VectronError, from_rpc_error
from vectron.methods import Methods
from vectron.options import ClientOptions
from vectron.transport import Connection, Credential
from vectron.types import (
    Payloads,
    Point,
    ProgressCallback,
    SearchOptions,
    SearchResults,
    UpsertReport,
)
from vectron.wire import Vector

T = TypeVar("T")


class VectronClient(Methods):
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

    # --- Batches and streams; the other calls are those of Methods. ---

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

    def _run(self, call: Call[T], timeout: float | None) -> T:
        self._check_open()
        budget = self._connection.budget(timeout)
        stub = self._stub(call, stream=False)
        while True:
            try:
                return call.parse(stub(call.request, **self._connection.arguments(call.metadata, budget)))
            except grpc.RpcError as error:
                self._pause_or_raise(error, call.kind, budget)

    def _stream(self, call: Call[T], timeout: float | None) -> Iterator[T]:
        self._check_open()
        budget = self._connection.budget(timeout)
        stub = self._stub(call, stream=True)
        while True:
            answers = stub(call.request, **self._connection.arguments(call.metadata, budget))
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
