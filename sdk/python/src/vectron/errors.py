"""Errors of the client, one class per thing a caller can do about it.

Every error carries `code` (the gRPC status name, such as "NOT_FOUND") and `retry_after_seconds` (what the server asked for, or
None). A call that fails has already been retried where that was safe; see `vectron.RetryPolicy`.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import duration_pb2
from google.protobuf.message import DecodeError


class VectronError(Exception):
    """Base of all errors of this package."""

    code = "UNKNOWN"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, code: str | None = None):
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        if code is not None:
            self.code = code


class InvalidArgumentError(VectronError, ValueError):
    """The request is wrong: fix it; a retry fails the same way. Nothing was written."""

    code = "INVALID_ARGUMENT"


class AuthenticationError(VectronError):
    """No credential, or one that is wrong or expired: log in again or make a new API key."""

    code = "UNAUTHENTICATED"


class PermissionDeniedError(VectronError):
    """The credential is good but does not allow this."""

    code = "PERMISSION_DENIED"


class NotFoundError(VectronError, LookupError):
    """The collection or the point does not exist (or belongs to someone else)."""

    code = "NOT_FOUND"


class AlreadyExistsError(VectronError):
    """The name is taken, or an `insert_only` point exists."""

    code = "ALREADY_EXISTS"


class FailedPreconditionError(VectronError):
    """The system is not in the state the request needs; a retry alone does not help."""

    code = "FAILED_PRECONDITION"


class AbortedError(VectronError):
    """Something changed meanwhile: read again, then try again."""

    code = "ABORTED"


class ResourceExhaustedError(VectronError):
    """Too much at once: slow down, honouring `retry_after_seconds`."""

    code = "RESOURCE_EXHAUSTED"


class UnavailableError(VectronError, ConnectionError):
    """The server cannot be reached or is starting: check the address, then try again."""

    code = "UNAVAILABLE"


class DeadlineExceededError(VectronError, TimeoutError):
    """No answer in time. A write may have happened."""

    code = "DEADLINE_EXCEEDED"


class UnimplementedError(VectronError):
    """This server does not offer that."""

    code = "UNIMPLEMENTED"


class DataLossError(VectronError):
    """Stored data is damaged: tell an operator."""

    code = "DATA_LOSS"


class CancelledError(VectronError):
    """The call was cancelled, most likely because the client was closed."""

    code = "CANCELLED"


class InternalServerError(VectronError):
    """A fault of the server; its log says more."""

    code = "INTERNAL"


class PartialUpsertError(VectronError):
    """Some parts of a batch failed; `report` (a `vectron.UpsertReport`) says which, and what to send again."""

    code = "ABORTED"

    def __init__(self, message: str, report: Any):
        super().__init__(message)
        self.report = report


_BY_CODE: dict[str, type[VectronError]] = {
    error.code: error
    for error in (
        InvalidArgumentError, AuthenticationError, PermissionDeniedError, NotFoundError, AlreadyExistsError,
        FailedPreconditionError, AbortedError, ResourceExhaustedError, UnavailableError, DeadlineExceededError,
        UnimplementedError, DataLossError, CancelledError, InternalServerError,
    )
}  # fmt: skip
_BY_CODE["OUT_OF_RANGE"] = InvalidArgumentError
_BY_CODE["UNKNOWN"] = InternalServerError

_LARGE_MESSAGE = re.compile("message larger than", re.IGNORECASE)  # gRPC's words, of either side
_LARGE_ANSWER = "the most of one answer"  # the gateway's, of the hits of a search


def _advice(code: str, host: str, message: str, http: bool) -> str:
    """What to do about it, where the code alone tells; empty where the server's message does."""
    longer = "make the client with a longer timeout_seconds=" if http else "pass a longer timeout="
    repeat = "" if http else ", and repeat a write with the same request_id="
    return {
        "UNAVAILABLE": _unreachable(host, message.lower(), http),
        "UNAUTHENTICATED": " [pass api_key=, or token= of a login; expired tokens need a new login]",
        "PERMISSION_DENIED": " [use a credential with more rights]",
        "DEADLINE_EXCEEDED": f" [no answer from {host} in time and the outcome is unknown: {longer}{repeat}]",
        "RESOURCE_EXHAUSTED": _too_much(message),
        "UNIMPLEMENTED": " [this server does not offer it]",
    }.get(code, "")


def too_large(error: VectronError) -> bool:
    """Whether it is about the size of one message or answer, so that a repeat fails the same way."""
    return error.code == "RESOURCE_EXHAUSTED" and bool(_LARGE_MESSAGE.search(error.message) or _LARGE_ANSWER in error.message)


def _too_much(message: str) -> str:
    if _LARGE_ANSWER in message:
        return ""  # it says what to ask for instead
    if _LARGE_MESSAGE.search(message):
        return " [send smaller batches or ask for less at once, or make the client with a larger max_message_bytes=]"
    return " [slow down: fewer calls at once, or smaller batches]"


def _unreachable(host: str, message: str, http: bool) -> str:
    if any(word in message for word in ("certificate", "handshake", "ssl", "hostname")):
        return (
            f" [TLS with {host} failed: do tls_root_certificates hold the authority that signed its certificate, is the host "
            "one of the certificate's names (else tls_server_name=), does the server want a client's certificate "
            "(tls_client_certificate= and tls_client_key=), and does this port speak TLS at all?]"
        )
    if any(word in message for word in ("socket closed", "reset", "broken pipe", "eof", "closed connection")):
        tls = "an http_url with https://" if http else "use_tls=True"
        return (
            f" [{host} closed the connection: it was restarted, or wants TLS ({tls}), or with TLS a client's "
            "certificate (tls_client_certificate= and tls_client_key=)]"
        )
    address = "its HTTP address, http_url= (default port 8080)" if http else "its gRPC address (default port 8081)"
    return f" [cannot reach {host}, or it is busy: is the server running, and is this {address}?]"


def make_error(
    code: str, message: str, host: str, retry_after_seconds: float | None = None, *, http: bool = False
) -> VectronError:
    """The error of a status code, worded for the person who reads it. http: of a call to http_url, not of gRPC."""
    kind = _BY_CODE.get(code, VectronError)
    return kind((message or code) + _advice(code, host, message, http), retry_after_seconds=retry_after_seconds, code=code)


def from_rpc_error(error: Any, host: str) -> VectronError:
    """The error of a failed gRPC call: a grpc.RpcError that is a grpc.Call, or a grpc.aio.AioRpcError."""
    retry_after = None
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            retry_after = parse_retry_after(value)
    return make_error(error.code().name, error.details() or "", host, retry_after)


def _bytes_fields(message: bytes) -> list[tuple[int, bytes]]:
    """The length-delimited fields of a protobuf message, others skipped; stops at the first malformed one."""
    fields: list[tuple[int, bytes]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise ValueError("varint")

    try:
        while at < len(message):
            tag = varint()
            kind = tag & 7
            if kind == 0:
                varint()
            elif kind == 2:
                size = varint()
                if at + size > len(message):
                    raise ValueError("size")
                fields.append((tag >> 3, message[at : at + size]))
                at += size
            else:
                break
    except (IndexError, ValueError):
        pass
    return fields


def parse_retry_after(details: bytes) -> float | None:
    """Seconds of a google.rpc.RetryInfo within a serialised google.rpc.Status; None when there is none."""
    for number, any_bytes in _bytes_fields(details):
        parts = dict(_bytes_fields(any_bytes)) if number == 3 else {}
        if parts.get(1) != b"type.googleapis.com/google.rpc.RetryInfo":
            continue
        delay = dict(_bytes_fields(parts.get(2, b""))).get(1)
        if delay is None:
            continue
        try:
            duration = duration_pb2.Duration.FromString(delay)
        except DecodeError:
            continue
        return float(duration.seconds) + duration.nanos / 1e9
    return None
