"""What the blocking and the asyncio client share: options, credentials and the clock of a call."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import grpc

from vectron.errors import InvalidArgumentError, VectronError
from vectron.options import ClientOptions

# An API key, a JWT, or a function that returns one for each call (for tokens that are renewed).
Credential = str | Callable[[], str] | None


class Connection:
    """Checked options and what each call sends along."""

    def __init__(self, host: str, credential: Credential, options: ClientOptions | None, overrides: dict[str, Any]):
        if not host:
            raise InvalidArgumentError("the host is empty; give the gateway's gRPC address, such as 'localhost:8081'")
        if "://" in host:
            raise InvalidArgumentError(
                f"the host is HOST:PORT of gRPC without a scheme, not {host!r} (use_tls=True asks for TLS)"
            )
        known = {field.name for field in dataclasses.fields(ClientOptions)}
        for name in overrides:
            if name not in known:
                raise InvalidArgumentError(f"no client option {name!r}; there are {', '.join(sorted(known))}")
        self.host = host
        self.credential = credential
        self.options = dataclasses.replace(options or ClientOptions(), **overrides)
        if self.options.compression not in (None, "gzip"):
            raise InvalidArgumentError(f"compression is {self.options.compression!r}; it must be 'gzip' or None")
        if (self.options.tls_client_certificate is None) != (self.options.tls_client_key is None):
            raise InvalidArgumentError("mutual TLS needs both tls_client_certificate and tls_client_key")
        self.compression = grpc.Compression.Gzip if self.options.compression == "gzip" else None

    def tls(self) -> grpc.ChannelCredentials | None:
        if not self.options.use_tls:
            return None
        return grpc.ssl_channel_credentials(
            root_certificates=self.options.tls_root_certificates,
            private_key=self.options.tls_client_key,
            certificate_chain=self.options.tls_client_certificate,
        )

    def metadata(self, extra: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        if self.options.tenant:
            extra = (("x-vectron-tenant", self.options.tenant), *extra)
        token = self.credential() if callable(self.credential) else self.credential
        if not token:
            return extra
        return (("authorization", f"Bearer {token}"), *extra)

    def arguments(self, extra: tuple[tuple[str, str], ...], budget: Budget) -> dict[str, Any]:
        """What grpc is given with the attempt that begins now."""
        return {"timeout": budget.next_attempt_seconds(), "metadata": self.metadata(extra), "compression": self.compression}

    def budget(self, timeout: float | None) -> Budget:
        if timeout is not None and timeout <= 0:
            raise InvalidArgumentError(f"timeout is {timeout}; it must be positive seconds")
        return Budget(self.options, self.options.timeout_seconds if timeout is None else timeout)


class Budget:
    """The time of one call and its attempts."""

    def __init__(self, options: ClientOptions, timeout: float):
        self._retry = options.retry
        self._attempt_timeout = options.attempt_timeout_seconds
        self._ends = time.monotonic() + timeout
        self._attempts = 0

    def next_attempt_seconds(self) -> float:
        """How long the attempt that begins now may take."""
        self._attempts += 1
        return max(0.001, min(self._attempt_timeout, self._ends - time.monotonic()))

    def pause_seconds(self, error: VectronError, kind: str) -> float | None:
        """The pause before the next attempt, or None: give up."""
        return self._retry.pause_seconds(error, kind, self._attempts, self._ends - time.monotonic())
