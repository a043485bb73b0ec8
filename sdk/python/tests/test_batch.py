"""Splitting into requests."""

import numpy as np
import pytest

from vectron import InvalidArgumentError, PartialUpsertError, Point
from vectron import vectron_pb2 as pb
from vectron.batch import MAX_UPSERT_POINTS, Chunk, Tally, chunks, rows
from vectron.errors import make_error


def split(count, size=10, **options):
    return list(chunks("c", ((f"p{i}", b"x" * size) for i in range(count)), **options))


def test_points_stay_in_order_and_whole():
    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    made = list(chunks("docs", rows(None, [f"p{i}" for i in range(10)], vectors, [{"i": i} for i in range(10)]), max_points=4))
    requests = [pb.UpsertRequest.FromString(chunk.request) for chunk in made]
    assert [len(request.points) for request in requests] == [4, 4, 2]
    assert [chunk.start for chunk in made] == [0, 4, 8]
    points = [point for request in requests for point in request.points]
    assert [point.id for point in points] == [f"p{i}" for i in range(10)]
    assert list(points[7].vector) == [14.0, 15.0] and points[7].fields["i"] == 7
    assert all(request.collection == "docs" for request in requests)


def test_each_request_has_its_own_name():
    assert len({chunk.request_id for chunk in split(10, max_points=2)}) == 5
    named = split(10, max_points=5, request_id="mine")
    assert [chunk.request_id for chunk in named] == ["mine", "mine/1"]
    assert pb.UpsertRequest.FromString(split(1, size=0, request_id="mine")[0].request).request_id == "mine"


def test_the_servers_limits_hold_whatever_is_asked():
    made = split(MAX_UPSERT_POINTS + 1, size=0, max_points=10**9)
    assert [len(chunk.ids) for chunk in made] == [MAX_UPSERT_POINTS, 1]


def test_bytes_are_bounded_and_one_large_point_goes_alone():
    assert [len(chunk.ids) for chunk in split(10, size=100, max_bytes=300)] == [2, 2, 2, 2, 2]
    assert [len(chunk.ids) for chunk in split(3, size=100, max_bytes=10)] == [1, 1, 1]


def test_nothing_gives_no_request():
    assert split(0) == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((None, None, None, None), "give either"),
        (([], ["a"], [[1]], None), "give either"),
        ((None, ["a", "b"], [[1.0]], None), "2 ids for 1 vectors"),
        ((None, ["a", "b"], [[1.0], [2.0]], [{}]), "payloads ends before point 'b'"),
        (([Point("", [1.0])], None, None, None), "empty id"),
        (([Point("a", [float("nan")])], None, None, None), "point 'a': component 0"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(InvalidArgumentError) as caught:
        list(rows(*arguments))
    assert words in str(caught.value)


def test_a_report_names_every_failure():
    steps = []
    tally = Tally(6, steps.append)
    tally.failed(Chunk(4, ["e", "f"], b"", "r2"), make_error("UNAVAILABLE", "gone", "h"))
    tally.written(Chunk(0, ["a", "b"], b"", "r0"), 2)
    tally.failed(Chunk(2, ["c", "d"], b"", "r1"), make_error("INVALID_ARGUMENT", "bad", "h"))
    assert [(step.points_done, step.points_failed, step.points_total) for step in steps] == [(2, 2, 6), (4, 2, 6), (6, 4, 6)]
    report = tally.finish(raise_on_failure=False)
    assert int(report) == 2 and report.failed_ids == ["c", "d", "e", "f"]
    with pytest.raises(PartialUpsertError, match="points 2 to 3") as caught:
        report.raise_for_failures()
    assert caught.value.report is report
