"""Splitting of many points into requests within the server's limits."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vectron import vectron_pb2 as pb
from vectron import wire
from vectron.errors import InvalidArgumentError, VectronError
from vectron.types import BatchFailure, BatchProgress, Payloads, Point, ProgressCallback, UpsertReport

MAX_UPSERT_POINTS = 100_000
MAX_UPSERT_BYTES = 60 << 20  # the server takes 64 MiB; room for names and framing
DEFAULT_BATCH_BYTES = 2 << 20  # large enough that a call's own cost does not count, small enough to run several at once
_SLICE = 2_048  # rows copied out of an array at a time


@dataclass(frozen=True)
class Chunk:
    """Points [start, start + len(ids)) as one request; the bytes are those of a vectron.v1.UpsertRequest."""

    start: int
    ids: list[str]
    request: bytes
    request_id: str


def rows(
    points: Iterable[Point] | None, ids: Sequence[str] | None, vectors: Any, payloads: Payloads | None
) -> Iterator[tuple[str, bytes]]:
    """(id, bytes of the point) in order. Either points, or ids and vectors (n x d array or a sequence) and perhaps payloads.

    Errors: InvalidArgumentError naming the point.
    """
    if (points is None) == (ids is None or vectors is None):
        raise InvalidArgumentError("give either points, or ids= and vectors= (with payloads= if there are any)")
    if points is not None:
        for point in points:
            vector = wire.vector_bytes(point.vector, f"point {point.id!r}")
            yield point.id, wire.encode_point(point.id, vector, point.payload)
        return
    assert ids is not None
    if len(ids) != len(vectors):
        raise InvalidArgumentError(f"{len(ids)} ids for {len(vectors)} vectors; there must be as many")
    payload = iter(payloads) if payloads is not None else None
    for start in range(0, len(ids), _SLICE):
        names = [str(id) for id in ids[start : start + _SLICE]]
        encoded = wire.matrix_rows(vectors[start : start + _SLICE], [f"point {name!r}" for name in names])
        for name, vector in zip(names, encoded):
            fields = None
            if payload is not None:
                try:
                    fields = next(payload)
                except StopIteration:
                    raise InvalidArgumentError(f"payloads ends before point {name!r}; there must be one per id") from None
            yield name, wire.encode_point(name, vector, fields)


def chunks(
    collection: str,
    encoded: Iterable[tuple[str, bytes]],
    *,
    max_points: int = MAX_UPSERT_POINTS,
    max_bytes: int = MAX_UPSERT_BYTES,
    insert_only: bool = False,
    return_versions: bool = False,
    request_id: str | None = None,
) -> Iterator[Chunk]:
    """Requests of at most max_points points and max_bytes bytes, each with a request id (request_id with its number when given,
    else random). A single larger point makes a request of its own, which the server judges."""
    if max_points < 1 or max_bytes < 1:
        raise InvalidArgumentError("a batch holds at least one point and one byte")
    max_points, max_bytes = min(max_points, MAX_UPSERT_POINTS), min(max_bytes, MAX_UPSERT_BYTES)
    ids: list[str] = []
    parts: list[bytes] = []
    size = start = number = 0

    def close() -> Chunk:
        name = str(uuid.uuid4()) if request_id is None else request_id if number == 0 else f"{request_id}/{number}"
        head = pb.UpsertRequest(
            collection=collection, request_id=name, insert_only=insert_only, return_versions=return_versions
        )
        return Chunk(start, ids, head.SerializeToString() + b"".join(parts), name)

    for id, point in encoded:
        if ids and (len(ids) >= max_points or size + len(point) > max_bytes):
            yield close()
            start += len(ids)
            number += 1
            ids, parts, size = [], [], 0
        ids.append(id)
        parts += (b"\x12", wire.varint(len(point)), point)
        size += len(point) + 8
    if ids:
        yield close()


class Tally:
    """Counts what became of the chunks and tells the caller. Used by one thread (or task) at a time."""

    def __init__(self, total: int, progress: ProgressCallback | None):
        self.report = UpsertReport()
        self._total, self._progress = total, progress
        self._done = self._failed = 0

    def written(self, chunk: Chunk, upserted: int) -> None:
        self.report.upserted += upserted
        self._step(len(chunk.ids), 0)

    def failed(self, chunk: Chunk, error: VectronError) -> None:
        self.report.failures.append(BatchFailure(chunk.start, len(chunk.ids), chunk.ids, error, chunk.request_id))
        self._step(len(chunk.ids), len(chunk.ids))

    def _step(self, points: int, failed: int) -> None:
        self._done += points
        self._failed += failed
        if self._progress:
            self._progress(BatchProgress(self._done, self._failed, self._total))

    def finish(self, raise_on_failure: bool) -> UpsertReport:
        self.report.failures.sort(key=lambda failure: failure.start)
        if raise_on_failure:
            self.report.raise_for_failures()
        return self.report
