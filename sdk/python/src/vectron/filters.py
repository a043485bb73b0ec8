"""Filters as expressions.

    from vectron import field
    cheap_sound = (field("section") == "sound") & (field("size_kb") < 500) & ~field("tags[]").one_of(["role::debug"])

A path such as "a.b[].c" names a payload value; `[]` goes into every element of an array. Tests are strict about types: "1" is
no 1, and True is no number. Times are compared as RFC 3339 strings; `datetime` values with a zone are written as such.
Wherever a filter is accepted, a dict in the JSON form of the wire works too: {"must": [{"field": "a", "match": 1}]}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Union

from google.protobuf import json_format, struct_pb2

from vectron import vectron_pb2 as pb
from vectron import wire
from vectron.errors import InvalidArgumentError

Scalar = Union[str, int, float, bool, datetime]


class Expression:
    """A condition or a group of them. Joined by & (all), | (any) and ~ (not)."""

    def __and__(self, other: Expression) -> Group:
        left, right = _as_all(self), _as_all(other)
        return Group(must=left.must + right.must, must_not=left.must_not + right.must_not)

    def __or__(self, other: Expression) -> Group:
        return Group(should=_as_any(self) + _as_any(other))

    def __invert__(self) -> Group:
        return Group(must_not=[self])

    def __bool__(self) -> bool:
        raise TypeError("a filter has no truth value: join filters with &, | and ~, not with and, or, not")

    def condition(self) -> pb.Condition:
        """This as one condition of a group."""
        raise NotImplementedError

    def to_proto(self) -> pb.Filter:
        """This as a whole filter."""
        return pb.Filter(must=[self.condition()])


class Test(Expression):
    """One test of one path, or of the id."""

    __test__ = False  # not for pytest to collect

    def __init__(self, condition: pb.Condition):
        self._condition = condition

    def condition(self) -> pb.Condition:
        return self._condition

    def __repr__(self) -> str:
        return f"Test({json_format.MessageToDict(self._condition, preserving_proto_field_name=True)})"


class Group(Expression):
    """All of must, at least min_should of should, none of must_not."""

    def __init__(
        self,
        must: Iterable[Expression] = (),
        should: Iterable[Expression] = (),
        must_not: Iterable[Expression] = (),
        min_should: int = 0,
    ):
        self.must, self.should, self.must_not = list(must), list(should), list(must_not)
        self.min_should = min_should

    def to_proto(self) -> pb.Filter:
        return pb.Filter(
            must=[part.condition() for part in self.must],
            should=[part.condition() for part in self.should],
            must_not=[part.condition() for part in self.must_not],
            min_should=self.min_should,
        )

    def condition(self) -> pb.Condition:
        return pb.Condition(filter=self.to_proto())

    def __repr__(self) -> str:
        return f"Group({json_format.MessageToDict(self.to_proto(), preserving_proto_field_name=True)})"


def _as_all(expression: Expression) -> Group:
    """The expression as a group without alternatives, so that chains of & stay flat."""
    if isinstance(expression, Group) and not expression.should:
        return expression
    return Group(must=[expression])


def _as_any(expression: Expression) -> list[Expression]:
    """The alternatives of the expression, so that chains of | stay flat."""
    if isinstance(expression, Group) and expression.should:
        if not (expression.must or expression.must_not or expression.min_should):
            return expression.should
    return [expression]


def _value(value: Any, path: str) -> struct_pb2.Value:
    return struct_pb2.Value.FromString(wire.encode_value(value, path))


class field:
    """A payload path, to be compared."""

    def __init__(self, path: str):
        if not path:
            raise InvalidArgumentError("a filter needs a path: field('section'), not field('')")
        self.path = path

    def __eq__(self, value: Scalar) -> Test:  # type: ignore[override]
        return Test(pb.Condition(field=self.path, match=_value(value, self.path)))

    def __ne__(self, value: Scalar) -> Group:  # type: ignore[override]
        return ~(self == value)

    __hash__ = None  # type: ignore[assignment]

    def one_of(self, values: Iterable[Scalar]) -> Test:
        """Equal to any of the values."""
        return Test(pb.Condition(field=self.path, match=_value(list(values), self.path)))

    def between(self, low: Scalar, high: Scalar) -> Test:
        """low <= value <= high."""
        return self._range(gte=low, lte=high)

    def __lt__(self, value: Scalar) -> Test:
        return self._range(lt=value)

    def __le__(self, value: Scalar) -> Test:
        return self._range(lte=value)

    def __gt__(self, value: Scalar) -> Test:
        return self._range(gt=value)

    def __ge__(self, value: Scalar) -> Test:
        return self._range(gte=value)

    def exists(self) -> Test:
        """The path yields a value, null included."""
        return Test(pb.Condition(field=self.path, exists=True))

    def is_empty(self) -> Test:
        """The path yields nothing, or only null, "", [] or {}."""
        return Test(pb.Condition(field=self.path, is_empty=True))

    def _range(self, **bounds: Scalar) -> Test:
        return Test(
            pb.Condition(field=self.path, range=pb.Range(**{name: _value(bound, self.path) for name, bound in bounds.items()}))
        )


def has_id(*ids: str) -> Test:
    """The point's id is one of these."""
    return Test(pb.Condition(has_id=ids))


def at_least(count: int, *parts: Expression) -> Group:
    """At least `count` of the parts hold."""
    if not 1 <= count <= len(parts):
        raise InvalidArgumentError(f"at_least({count}) of {len(parts)} parts: the count must be from 1 to {len(parts)}")
    return Group(should=parts, min_should=count)


Filter = Union[Expression, Mapping[str, Any], pb.Filter]


def to_proto(filter: Filter | None) -> pb.Filter | None:
    """Any accepted form of a filter as the message. Errors: InvalidArgumentError for a dict that is none."""
    if filter is None or isinstance(filter, pb.Filter):
        return filter
    if isinstance(filter, Expression):
        return filter.to_proto()
    if not isinstance(filter, Mapping):
        raise InvalidArgumentError(f"a filter is an expression of field(...) or a dict, not {type(filter).__name__}")
    try:
        return json_format.ParseDict(dict(filter), pb.Filter())
    except json_format.ParseError as error:
        raise InvalidArgumentError(
            f"this dict is no filter: {error} [its keys are must, should, must_not, min_should; a condition has field and one "
            "of match, range, exists, is_empty, has_id, filter]"
        ) from None
