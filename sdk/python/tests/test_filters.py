"""Expressions against the wire form."""

from datetime import datetime, timezone

import pytest
from google.protobuf import json_format

from vectron import InvalidArgumentError, at_least, field, has_id
from vectron import vectron_pb2 as pb
from vectron.filters import Group, to_proto


def as_dict(filter):
    return json_format.MessageToDict(to_proto(filter), preserving_proto_field_name=True)


def test_one_test_is_a_filter():
    assert as_dict(field("a") == "x") == {"must": [{"field": "a", "match": "x"}]}
    assert as_dict(field("a").one_of(["x", 1, True])) == {"must": [{"field": "a", "match": ["x", 1.0, True]}]}
    assert as_dict(field("a").between(1, 2.5)) == {"must": [{"field": "a", "range": {"gte": 1.0, "lte": 2.5}}]}
    assert as_dict(field("a") < 3) == {"must": [{"field": "a", "range": {"lt": 3.0}}]}
    assert as_dict(field("a") > 3) == {"must": [{"field": "a", "range": {"gt": 3.0}}]}
    assert as_dict(field("a").exists()) == {"must": [{"field": "a", "exists": True}]}
    assert as_dict(field("a").is_empty()) == {"must": [{"field": "a", "is_empty": True}]}
    assert as_dict(has_id("p", "q")) == {"must": [{"has_id": ["p", "q"]}]}


def test_times_become_rfc_3339():
    assert as_dict(field("t") >= datetime(2024, 1, 2, tzinfo=timezone.utc)) == {
        "must": [{"field": "t", "range": {"gte": "2024-01-02T00:00:00+00:00"}}]
    }


def test_chains_stay_flat():
    a, b, c = (field(name) == 1 for name in "abc")
    names = lambda conditions: [condition["field"] for condition in conditions]  # noqa: E731
    assert names(as_dict(a & b & c)["must"]) == ["a", "b", "c"]
    assert names(as_dict(a | b | c)["should"]) == ["a", "b", "c"]
    both = as_dict(a & ~b & ~c)
    assert names(both["must"]) == ["a"] and names(both["must_not"]) == ["b", "c"]


def test_mixed_groups_nest():
    a, b, c = (field(name) == 1 for name in "abc")
    assert as_dict((a | b) & c) == {
        "must": [
            {"filter": {"should": [{"field": "a", "match": 1.0}, {"field": "b", "match": 1.0}]}},
            {"field": "c", "match": 1.0},
        ]
    }
    assert as_dict(~(a & b)) == {
        "must_not": [{"filter": {"must": [{"field": "a", "match": 1.0}, {"field": "b", "match": 1.0}]}}]
    }
    assert as_dict(at_least(2, a, b, c) | a)["should"][0]["filter"]["min_should"] == 2


def test_an_empty_group_keeps_matching_all_within_an_alternative():
    assert as_dict(Group() | (field("a") == 1))["should"][0] == {"filter": {}}


def test_not_equal_is_the_negation():
    assert as_dict(field("a") != 1) == {"must_not": [{"field": "a", "match": 1.0}]}


def test_a_dict_and_a_message_are_taken_as_they_are():
    wire = {"must": [{"field": "a", "range": {"gte": 10, "lt": 500}}], "must_not": [{"field": "t[]", "match": "x"}]}
    message = to_proto(wire)
    assert message == to_proto(message)
    assert message.must[0].range.gte.number_value == 10


@pytest.mark.parametrize("bad", [{"musst": []}, {"must": [{"field": "a", "match": object()}]}, "a = 1", 7])
def test_what_is_no_filter_is_refused(bad):
    with pytest.raises(InvalidArgumentError):
        to_proto(bad)


def test_boolean_keywords_are_refused_because_they_would_drop_conditions():
    with pytest.raises(TypeError, match="&"):
        (field("a") == 1) and (field("b") == 2)


def test_min_should_has_bounds():
    with pytest.raises(InvalidArgumentError):
        at_least(3, field("a") == 1)


def test_no_filter_is_none():
    assert to_proto(None) is None
    assert isinstance(to_proto(field("a") == 1), pb.Filter)
