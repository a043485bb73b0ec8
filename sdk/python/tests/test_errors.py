"""Codes to classes, and the server's hint when to come back."""

import pytest
from google.protobuf import any_pb2, duration_pb2

import vectron
from vectron import wire
from vectron.errors import make_error, parse_retry_after


@pytest.mark.parametrize(
    "code, kind",
    [
        ("UNAUTHENTICATED", vectron.AuthenticationError),
        ("NOT_FOUND", vectron.NotFoundError),
        ("INVALID_ARGUMENT", vectron.InvalidArgumentError),
        ("OUT_OF_RANGE", vectron.InvalidArgumentError),
        ("ALREADY_EXISTS", vectron.AlreadyExistsError),
        ("INTERNAL", vectron.InternalServerError),
        ("UNKNOWN", vectron.InternalServerError),
        ("UNAVAILABLE", vectron.UnavailableError),
        ("DEADLINE_EXCEEDED", vectron.DeadlineExceededError),
        ("RESOURCE_EXHAUSTED", vectron.ResourceExhaustedError),
        ("PERMISSION_DENIED", vectron.PermissionDeniedError),
        ("FAILED_PRECONDITION", vectron.FailedPreconditionError),
        ("ABORTED", vectron.AbortedError),
        ("DATA_LOSS", vectron.DataLossError),
        ("UNIMPLEMENTED", vectron.UnimplementedError),
        ("CANCELLED", vectron.CancelledError),
    ],
)
def test_each_code_has_its_class(code, kind):
    error = make_error(code, "why", "host:1")
    assert type(error) is kind and error.code == code and "why" in str(error)


def test_pythons_own_classes_catch_ours():
    assert isinstance(make_error("DEADLINE_EXCEEDED", "", ""), TimeoutError)
    assert isinstance(make_error("UNAVAILABLE", "", ""), ConnectionError)
    assert isinstance(make_error("INVALID_ARGUMENT", "", ""), ValueError)


def test_messages_say_what_to_do():
    assert "host:1" in str(make_error("UNAVAILABLE", "refused", "host:1"))
    assert "8081" in str(make_error("UNAVAILABLE", "refused", "host:1"))
    assert "api_key" in str(make_error("UNAUTHENTICATED", "", "host:1"))
    assert "request_id" in str(make_error("DEADLINE_EXCEEDED", "", "host:1"))


def details(seconds, nanos):
    duration = duration_pb2.Duration(seconds=seconds, nanos=nanos).SerializeToString()
    info = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=wire.bytes_field(1, duration))
    other = any_pb2.Any(type_url="type.googleapis.com/other", value=b"\x0a\x01x")
    return (
        b"\x08\x08"
        + wire.bytes_field(2, b"busy")
        + wire.bytes_field(3, other.SerializeToString())
        + wire.bytes_field(3, info.SerializeToString())
    )


def test_retry_info_is_read():
    assert parse_retry_after(details(2, 500_000_000)) == 2.5
    assert parse_retry_after(b"\x08\x08" + wire.bytes_field(2, b"busy")) is None


def test_no_bytes_break_the_reader():
    good = details(2, 5)
    for cut in range(len(good)):
        parse_retry_after(good[:cut])
        parse_retry_after(good[:cut] + b"\xff" * 12)
