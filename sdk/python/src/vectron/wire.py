"""Points and payloads written straight into the bytes of the wire.

A vector is copied once, from its array into the message, and payloads never become message objects; protobuf allows any fields
of a message to be appended to its bytes, so the rest of a request stays ordinary generated code. The encoding is that of
proto/vectron/vectron.proto and google/protobuf/struct.proto; the tests compare it with the generated classes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Union

import numpy as np
import numpy.typing as npt
from google.protobuf import struct_pb2

from vectron.errors import InvalidArgumentError

Vector = Union[Sequence[float], npt.NDArray[Any]]

MAX_JSON_DEPTH = 32
_FLOAT = np.dtype("<f4")
_EXACT = 2**53  # whole numbers up to here are exact as doubles
_SMALL_VARINTS = [bytes([n]) for n in range(128)]


def varint(value: int) -> bytes:
    if value < 128:
        return _SMALL_VARINTS[value]
    out = bytearray()
    while value >= 128:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def bytes_field(number: int, value: bytes) -> bytes:
    """A length-delimited field; number below 16 takes one byte."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def encode_value(value: Any, where: str, depth: int = 0) -> bytes:
    """A google.protobuf.Value. where: the path for messages. Errors: InvalidArgumentError."""
    if isinstance(value, str):
        return b"\x1a" + _text(value, where)
    if isinstance(value, (bool, np.bool_)):
        return b"\x20\x01" if value else b"\x20\x00"
    if isinstance(value, (int, float, np.number)):
        return b"\x11" + struct.pack("<d", _number(value, where))
    if value is None:
        return b"\x08\x00"
    if depth >= MAX_JSON_DEPTH:
        raise InvalidArgumentError(f"payload field {where}: nested deeper than {MAX_JSON_DEPTH}; flatten it")
    if isinstance(value, Mapping):
        body = encode_struct(value, where, depth + 1)
        return b"\x2a" + varint(len(body)) + body
    if isinstance(value, (list, tuple, set, frozenset)) or isinstance(value, np.ndarray):
        items = [encode_value(item, where, depth + 1) for item in value]
        body = b"".join(b"\x0a" + varint(len(item)) + item for item in items)
        return b"\x32" + varint(len(body)) + body
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidArgumentError(f"payload field {where}: a time needs a zone, such as datetime.now(timezone.utc)")
        return b"\x1a" + _text(value.isoformat(), where)
    raise InvalidArgumentError(
        f"payload field {where}: {type(value).__name__} is no JSON value; use a string, number, bool, list or dict"
    )


def encode_struct(payload: Mapping[str, Any], where: str = "", depth: int = 0) -> bytes:
    """A google.protobuf.Struct."""
    parts = []
    for key, value in payload.items():
        if not isinstance(key, str):
            raise InvalidArgumentError(f"payload field {where}{key!r}: keys are strings, not {type(key).__name__}")
        path = f"{where}.{key}" if where else key
        entry = b"\x0a" + _text(key, path)
        encoded = encode_value(value, path, depth)
        entry += b"\x12" + varint(len(encoded)) + encoded
        parts.append(b"\x0a" + varint(len(entry)) + entry)
    return b"".join(parts)


def _text(text: str, where: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"payload field {where}: the string is no valid Unicode (a lone surrogate)") from None
    return varint(len(data)) + data


def _number(value: Any, where: str) -> float:
    if isinstance(value, (int, np.integer)) and not -_EXACT <= int(value) <= _EXACT:
        raise InvalidArgumentError(f"payload field {where}: {value} is beyond 2^53 and would be rounded; store it as a string")
    number = float(value)
    if not math.isfinite(number):
        raise InvalidArgumentError(f"payload field {where}: {number} is no JSON number; leave the field out or use None")
    return number


def vector_bytes(vector: Vector, what: str) -> bytes:
    """The components as little-endian 32-bit floats. Errors: InvalidArgumentError naming `what` (not one-dimensional, empty,
    not numbers, NaN or infinite)."""
    if isinstance(vector, np.ndarray) and vector.dtype == _FLOAT and vector.ndim == 1 and vector.size:
        if np.isfinite(vector).all():  # else the slow way finds out which component it is
            return vector.tobytes()
    return matrix_rows([vector], [what])[0]


def matrix_rows(vectors: Any, names: Sequence[str]) -> list[bytes]:
    """Each row as packed floats. vectors: n x d array or a sequence of n vectors. names: for messages."""
    if isinstance(vectors, np.ndarray) and vectors.ndim == 2:
        rows = _as_floats(vectors, "the array of vectors")
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            bad = int(np.argmin(finite))
            raise _not_finite(names[bad], rows[bad])
        width = rows.shape[1] * 4
        if width == 0:
            raise InvalidArgumentError("the vectors are empty; each needs as many components as the collection's dimension")
        data = rows.tobytes()
        return [data[start : start + width] for start in range(0, len(data), width)]
    out = []
    for name, vector in zip(names, vectors):
        row = _as_floats(vector, name)
        if row.ndim != 1 or row.size == 0:
            raise InvalidArgumentError(f"{name}: the vector has shape {row.shape}; it must be one-dimensional and not empty")
        if not np.isfinite(row).all():
            raise _not_finite(name, row)
        out.append(row.tobytes())
    return out


def _as_floats(vector: Any, name: str) -> npt.NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(vector, dtype="<f4")
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"{name}: the vector is no sequence of numbers") from None


def _not_finite(name: str, row: npt.NDArray[np.float32]) -> InvalidArgumentError:
    at = int(np.argmin(np.isfinite(row)))
    return InvalidArgumentError(f"{name}: component {at} of the vector is {row[at]}; vectors must be finite 32-bit floats")


def encode_point(id: str, vector: bytes, payload: Mapping[str, Any] | None) -> bytes:
    """A vectron.v1.Point of packed floats."""
    try:
        name = id.encode()
    except (AttributeError, UnicodeEncodeError):
        raise InvalidArgumentError(f"point {id!r}: an id is a string of valid Unicode") from None
    if not name:
        raise InvalidArgumentError("a point has an empty id; ids are 1-256 bytes of UTF-8")
    parts = [b"\x0a", varint(len(name)), name, b"\x12", varint(len(vector)), vector]
    if payload:
        fields = encode_struct(payload)
        parts += [b"\x82\x01", varint(len(fields)), fields]
    return b"".join(parts)


def decode_value(value: struct_pb2.Value) -> Any:
    """A Python value; whole numbers come back as int, as JSON shows them."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return decode_struct(value.struct_value)
    if kind == "list_value":
        return [decode_value(item) for item in value.list_value.values]
    return None


def decode_struct(fields: struct_pb2.Struct) -> dict[str, Any]:
    return {key: decode_value(value) for key, value in fields.fields.items()}
