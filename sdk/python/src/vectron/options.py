"""How a client connects, waits and tries again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from vectron.errors import VectronError, too_large

# What the server accepts in one message (a 64 MiB upsert and its framing).
MAX_MESSAGE_BYTES = 80 << 20

# A read changes nothing. A named write carries a request id, so that a repeat applies once. Any other write may have happened
# when its answer was lost: it is repeated only when the server said that it did not begin.
READ, NAMED_WRITE, OTHER_WRITE = "read", "named write", "other write"
_SAFE_TO_REPEAT = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})


@dataclass(frozen=True)
class RetryPolicy:
    """When a failed call is tried again, and after which pause.

    UNAVAILABLE, DEADLINE_EXCEEDED and RESOURCE_EXHAUSTED are tried again for reads, and for writes with a request id; other
    writes only after RESOURCE_EXHAUSTED. The pause doubles, is randomised, and is never shorter than the server asked for.
    A server that asks to slow down and says for how long is heeded until the time of the call is over, whatever max_attempts
    (unless that is 1, which means never): it works, and a loader is to go at its pace. A message or an answer over a limit of
    size is not tried again: it would be as large.
    """

    max_attempts: int = 5
    initial_backoff_seconds: float = 0.1
    max_backoff_seconds: float = 3.0
    jitter: Callable[[], float] = field(default=random.random, repr=False)  # in [0, 1)

    def pause_seconds(self, error: VectronError, kind: str, attempt: int, remaining_seconds: float) -> float | None:
        """The pause before the next attempt, or None: give up.

        attempt: attempts made so far, at least 1. remaining_seconds: of the whole call.
        """
        worth = error.code in _SAFE_TO_REPEAT if kind != OTHER_WRITE else error.code == "RESOURCE_EXHAUSTED"
        paced = error.code == "RESOURCE_EXHAUSTED" and error.retry_after_seconds is not None and self.max_attempts > 1
        if not worth or too_large(error) or (attempt >= self.max_attempts and not paced):
            return None
        ceiling = min(self.max_backoff_seconds, self.initial_backoff_seconds * 2.0 ** min(attempt - 1, 30))
        pause = ceiling * (0.5 + 0.5 * self.jitter())
        if error.retry_after_seconds is not None:
            # Spread over a quarter more, so that all who were told the same do not come back at once.
            pause = max(pause, error.retry_after_seconds * (1 + 0.25 * self.jitter()))
        return pause if pause < remaining_seconds else None


NO_RETRY = RetryPolicy(max_attempts=1)


@dataclass(frozen=True)
class ClientOptions:
    """Options of a client; each can also be given to the client by its name.

    timeout_seconds bounds a whole call with its retries, attempt_timeout_seconds one attempt of it.
    """

    timeout_seconds: float = 30.0
    attempt_timeout_seconds: float = 10.0
    retry: RetryPolicy = RetryPolicy()
    use_tls: bool = False
    tls_root_certificates: bytes | None = None  # PEM; None: those of the system
    tls_client_certificate: bytes | None = None  # PEM, with tls_client_key: mutual TLS
    tls_client_key: bytes | None = None
    tls_server_name: str | None = None  # expected in the certificate, if not the host
    max_message_bytes: int = MAX_MESSAGE_BYTES
    # While calls are under way, a connection on which nothing has come for this long is pinged, and given up when no answer
    # comes in time. The server sends away who pings oftener than every 10 s.
    keepalive_time_seconds: float = 30.0
    keepalive_timeout_seconds: float = 10.0
    compression: str | None = None  # "gzip" or None
    http_url: str | None = None  # of the gateway's HTTP port, for `client.admin`; such as "http://localhost:8080"
    tenant: str | None = None  # id of the user whose collections are meant; for administrators
    auth_host: str | None = None  # HOST:PORT of gRPC for users and keys, if not the same as the client's host

    def channel_arguments(self) -> list[tuple[str, int | str]]:
        arguments: list[tuple[str, int | str]] = [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.keepalive_time_ms", int(self.keepalive_time_seconds * 1000)),
            ("grpc.keepalive_timeout_ms", int(self.keepalive_timeout_seconds * 1000)),
            # Newer gRPC ends a silent connection by this one, which is a minute unless said.
            ("grpc.http2.ping_timeout_ms", int(self.keepalive_timeout_seconds * 1000)),
            ("grpc.keepalive_permit_without_calls", 0),
            # A server that restarts is soon back; and each client of a pool has a connection of its own.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self.tls_server_name:
            arguments.append(("grpc.ssl_target_name_override", self.tls_server_name))
        return arguments
