"""Columns of pandas and Arrow."""

from datetime import datetime, timezone

import numpy as np
import pytest

import vectron
from vectron import frames

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas", reason="NOT TESTED: pandas is not installed")


@pytest.fixture
def arrow():
    return pytest.importorskip("pyarrow", reason="NOT TESTED: pyarrow is not installed")


def rows(found):
    ids, vectors, payloads = found
    return ids, [np.asarray(row).tolist() for row in vectors], list(payloads)


def test_a_data_frame(pandas):
    frame = pandas.DataFrame(
        {
            "id": [7, 8],
            "vector": [np.array([1, 2], dtype=np.float32), [3, 4]],
            "text": ["a", None],
            "score": [float("nan"), 0.5],
            "when": [NOW, pandas.NaT],
            "tags": [["x"], []],
        }
    )
    payloads = [{"text": "a", "when": NOW, "tags": ["x"]}, {"score": 0.5, "tags": []}]
    assert rows(frames.columns(frame, "id", "vector", None)) == (["7", "8"], [[1, 2], [3, 4]], payloads)
    assert rows(frames.columns(frame, "id", "vector", ["text"]))[2] == [{"text": "a"}, {}]


def test_a_data_frame_with_a_column_per_component_and_the_ids_in_its_index(pandas):
    frame = pandas.DataFrame({"x": [1, 2], "y": [3.5, 4], "kind": ["p", "q"]}, index=["a", "b"])
    ids, vectors, payloads = frames.columns(frame, None, ["x", "y"], None)
    assert (ids, vectors.dtype, vectors.tolist()) == (["a", "b"], np.float32, [[1, 3.5], [2, 4]])
    assert list(payloads) == [{"kind": "p"}, {"kind": "q"}]


@pytest.mark.parametrize("fixed", [True, False])
def test_an_arrow_table(arrow, fixed):
    kind = arrow.list_(arrow.float32(), 2) if fixed else arrow.list_(arrow.float32())
    vectors = arrow.chunked_array([arrow.array([[1, 2]], kind), arrow.array([[3, 4], [5, 6]], kind)])
    table = arrow.table({"id": ["a", "b", "c"], "vector": vectors, "n": [1, None, 3], "deep": [{"k": ["v"]}, None, None]})
    payloads = [{"n": 1, "deep": {"k": ["v"]}}, {}, {"n": 3}]
    assert rows(frames.columns(table, "id", "vector", None)) == (["a", "b", "c"], [[1, 2], [3, 4], [5, 6]], payloads)
    batch = table.slice(1).combine_chunks().to_batches()[0]
    assert rows(frames.columns(batch, "id", "vector", ["n"])) == (["b", "c"], [[3, 4], [5, 6]], [{}, {"n": 3}])


def test_what_is_wrong_is_named(pandas, arrow):
    frame = pandas.DataFrame({"id": ["a", None], "vector": [[1], [2]]})
    table = arrow.table({"id": ["a", "b"], "vector": [[1.0, 2.0], [3.0]], "text": ["t", "u"]})
    for given, id, vector, words in [
        (frame, "id", "vector", "row 1 has no id"),
        (frame, "key", "vector", "no column 'key'; there are id, vector"),
        (table, "id", "vector", "point 'b': its vector in column 'vector' has 1 components, the first one 2"),
        (table, "id", "text", "holds string"),
        (table, None, "vector", "no index"),
        ([1], "id", "vector", "list is no pandas DataFrame"),
    ]:
        with pytest.raises(vectron.InvalidArgumentError, match=words):
            frames.columns(given, id, vector, None)
