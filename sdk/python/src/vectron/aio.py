"""The asyncio client: the methods of VectronClient, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import grpc
from typing_extensions import Self, Unpack

from vectron import batch, calls
from vectron.admin import AsyncAdmin
from vectron.calls import Call
from vectron.errors import VectronError, from_rpc_error
from vectron.methods_async import AsyncMethods
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


class AsyncVectronClient(AsyncMethods):
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

    # --- Batches and streams; the other calls are those of AsyncMethods. ---

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

    @property
    def admin(self) -> AsyncAdmin:
        """Health, workers, collections and alerts, over the gateway's HTTP port (option http_url)."""
        return AsyncAdmin(self._connection)

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

    async def _run(self, call: Call[T], timeout: float | None) -> T:
        budget = self._connection.budget(timeout)
        stub = self._stub(call, stream=False)
        while True:
            try:
                return call.parse(await stub(call.request, **self._connection.arguments(call.metadata, budget)))
            except grpc.RpcError as error:
                await self._pause_or_raise(error, call.kind, budget)

    async def _stream(self, call: Call[T], timeout: float | None) -> AsyncIterator[T]:
        budget = self._connection.budget(timeout)
        stub = self._stub(call, stream=True)
        while True:
            answers = stub(call.request, **self._connection.arguments(call.metadata, budget))
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
