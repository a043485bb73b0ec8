"""Columns of a pandas DataFrame or an Arrow table as what a batch takes. Neither library is imported here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vectron.errors import InvalidArgumentError

_SLICE = 2_048  # rows turned into payloads at a time

Columns = tuple[list[str], Any, Iterator[dict[str, Any]]]


def columns(frame: Any, id: str | None, vector: str | Sequence[str], payload: Sequence[str] | None) -> Columns:
    """(ids, vectors, payloads) of a frame. Errors: InvalidArgumentError naming the column or the row.

    id: the column of the ids; None: the index of a DataFrame. vector: the column of the vectors, or one column per component.
    payload: columns that become fields; None: all the others. A missing value leaves its field out.
    """
    library = type(frame).__module__.partition(".")[0]
    if library not in ("pandas", "pyarrow"):
        raise InvalidArgumentError(f"{type(frame).__name__} is no pandas DataFrame and no Arrow table or record batch")
    names = [str(name) for name in (frame.columns if library == "pandas" else frame.schema.names)]
    wanted = [vector] if isinstance(vector, str) else list(vector)
    taken = [*wanted, *([] if id is None else [id])]
    fields = [name for name in names if name not in taken] if payload is None else list(payload)
    for name in [*taken, *fields]:
        if name not in names:
            raise InvalidArgumentError(f"the frame has no column {name!r}; there are {', '.join(names)}")
    return _pandas(frame, id, vector, fields) if library == "pandas" else _arrow(frame, id, vector, fields)


def _ids(values: Sequence[Any]) -> list[str]:
    for row, value in enumerate(values):
        if value is None or value != value:
            raise InvalidArgumentError(f"row {row} has no id")
    return [str(value) for value in values]


def _pandas(frame: Any, id: str | None, vector: str | Sequence[str], fields: list[str]) -> Columns:
    ids = _ids((frame.index if id is None else frame[id]).tolist())
    vectors = frame[vector].tolist() if isinstance(vector, str) else frame[list(vector)].to_numpy(dtype=np.float32)

    def payloads() -> Iterator[dict[str, Any]]:
        chosen = frame[fields]
        for start in range(0, len(ids), _SLICE):
            part = chosen.iloc[start : start + _SLICE]
            present = part.notna().to_numpy()
            values = [part[name].tolist() for name in fields]
            for row in range(len(part)):
                yield {name: values[at][row] for at, name in enumerate(fields) if present[row, at]}

    return ids, vectors, payloads()


def _arrow(table: Any, id: str | None, vector: str | Sequence[str], fields: list[str]) -> Columns:
    if id is None:
        raise InvalidArgumentError("an Arrow table has no index: name the column of the ids")
    ids = _ids(table.column(id).to_pylist())
    if isinstance(vector, str):
        vectors = _arrow_matrix(table.column(vector), vector, ids)
    else:
        vectors = np.column_stack([_flat(table.column(name)) for name in vector])

    def payloads() -> Iterator[dict[str, Any]]:
        for start in range(0, len(ids), _SLICE):
            for row in table.slice(start, _SLICE).select(fields).to_pylist():
                yield {name: value for name, value in row.items() if value is not None and value == value}

    return ids, vectors, payloads()


def _flat(column: Any) -> Any:
    """A column as one array: that of a table comes in chunks."""
    whole = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    return whole.to_numpy(zero_copy_only=False)


def _arrow_matrix(column: Any, name: str, ids: list[str]) -> Any:
    """n x d, without a copy where Arrow holds it so."""
    whole = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if not ids:
        return np.empty((0, 0), dtype=np.float32)
    try:
        lengths = whole.value_lengths().to_pylist()
    except AttributeError:
        raise InvalidArgumentError(f"column {name!r} holds {whole.type}; it must hold lists of numbers") from None
    for row, length in enumerate(lengths):
        if length is None or length != lengths[0]:
            raise InvalidArgumentError(
                f"point {ids[row]!r}: its vector in column {name!r} has {length or 0} components, the first one {lengths[0]}"
            )
    return whole.flatten().to_numpy(zero_copy_only=False).reshape(len(ids), -1)
