"""The hand-written encoding against the generated classes."""

import random
from datetime import datetime, timezone

import numpy as np
import pytest
from google.protobuf import json_format, struct_pb2

from vectron import InvalidArgumentError, wire
from vectron import vectron_pb2 as pb


def random_value(rng, depth):
    kind = rng.randrange(7 if depth else 5)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        return rng.randrange(-(2**53), 2**53)
    if kind == 3:
        return rng.uniform(-1e30, 1e30)
    if kind == 4:
        return "".join(chr(rng.choice([65, 0xE9, 0x4E2D, 0x1F600, 0])) for _ in range(rng.randrange(200)))
    if kind == 5:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(5))]
    return {f"k{i}": random_value(rng, depth - 1) for i in range(rng.randrange(5))}


@pytest.mark.parametrize("seed", range(50))
def test_values_are_those_of_the_generated_class_and_come_back(seed):
    value = {"root": random_value(random.Random(seed), 4)}
    ours = struct_pb2.Struct.FromString(wire.encode_struct(value))
    theirs = json_format.ParseDict(value, struct_pb2.Struct())
    assert ours == theirs
    assert wire.decode_struct(ours) == value


@pytest.mark.parametrize("seed", range(10))
def test_points_are_those_of_the_generated_class(seed):
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=rng.integers(1, 300)).astype(np.float32)
    payload = {"s": "é", "n": seed, "list": [1, "x", None]}
    ours = pb.Point.FromString(wire.encode_point("id/é", wire.vector_bytes(vector, "p"), payload))
    theirs = pb.Point(id="id/é", vector=vector.tolist(), fields=json_format.ParseDict(payload, struct_pb2.Struct()))
    assert ours == theirs


def test_every_kind_of_array_gives_the_same_rows():
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    expected = [row.tobytes() for row in rows]
    names = ["a", "b", "c"]
    assert wire.matrix_rows(rows, names) == expected
    assert wire.matrix_rows(rows.astype(np.float64), names) == expected
    assert wire.matrix_rows(np.asfortranarray(rows), names) == expected
    assert wire.matrix_rows(rows.astype(">f4"), names) == expected
    assert wire.matrix_rows(rows.tolist(), names) == expected
    assert wire.matrix_rows(list(rows), names) == expected
    assert wire.matrix_rows(np.arange(24, dtype=np.float32).reshape(3, 8)[:, ::2] / 2, names) == expected


def test_integers_and_times_keep_their_meaning():
    value = wire.decode_struct(struct_pb2.Struct.FromString(wire.encode_struct({"n": 3, "f": 2.5, "big": 2**53})))
    assert value == {"n": 3, "f": 2.5, "big": 2**53}
    assert isinstance(value["n"], int) and isinstance(value["f"], float)
    moment = datetime(2024, 5, 6, tzinfo=timezone.utc)
    assert wire.decode_struct(struct_pb2.Struct.FromString(wire.encode_struct({"t": moment}))) == {
        "t": "2024-05-06T00:00:00+00:00"
    }


@pytest.mark.parametrize(
    "payload, words",
    [
        ({"a": {"b": float("nan")}}, ["a.b", "nan"]),
        ({"a": float("inf")}, ["a", "inf"]),
        ({"a": 2**53 + 1}, ["a", "2^53", "string"]),
        ({"a": object()}, ["a", "object"]),
        ({1: "x"}, ["1", "keys are strings"]),
        ({"a": datetime(2024, 1, 1)}, ["a", "zone"]),
        ({"a": "\ud800"}, ["a", "Unicode"]),
    ],
)
def test_a_payload_that_is_no_json_is_refused_by_its_path(payload, words):
    with pytest.raises(InvalidArgumentError) as caught:
        wire.encode_struct(payload)
    for word in words:
        assert word in str(caught.value)


def test_nesting_is_bounded():
    value: dict = {}
    for _ in range(40):
        value = {"a": value}
    with pytest.raises(InvalidArgumentError, match="deeper than 32"):
        wire.encode_struct(value)


@pytest.mark.parametrize(
    "vector, words",
    [
        ([1.0, float("nan")], ["component 1", "nan"]),
        ([float("inf")], ["component 0", "inf"]),
        ([1e39], ["component 0", "inf"]),
        ([], ["shape (0,)"]),
        ([[1.0], [2.0]], ["shape (2, 1)"]),
        (["x"], ["no sequence of numbers"]),
        (None, ["point 'p'"]),
    ],
)
def test_a_bad_vector_is_refused_by_name(vector, words):
    with pytest.raises(InvalidArgumentError) as caught:
        wire.vector_bytes(vector, "point 'p'")
    for word in words:
        assert word in str(caught.value)


def test_a_bad_row_of_an_array_is_refused_by_its_id():
    rows = np.ones((3, 2), dtype=np.float32)
    rows[1, 1] = np.nan
    with pytest.raises(InvalidArgumentError, match="b: component 1"):
        wire.matrix_rows(rows, ["a", "b", "c"])


def test_a_query_array_is_sent_as_it_is_and_checked():
    row = np.arange(8, dtype=np.float32)
    huge = np.full(4, 3e38, dtype=np.float32)
    for vector in (row, row[::2], row[:1], huge, row.astype(">f4"), row.astype(np.float64)):
        assert wire.vector_bytes(vector, "q") == vector.astype("<f4").tobytes()
    row[3] = np.nan
    for vector in (row, row.astype(np.float64)):
        with pytest.raises(InvalidArgumentError, match="q: component 3 of the vector is nan"):
            wire.vector_bytes(vector, "q")
    for vector in (row[:0], row.reshape(2, 4)):
        with pytest.raises(InvalidArgumentError, match="must be one-dimensional"):
            wire.vector_bytes(vector, "q")
