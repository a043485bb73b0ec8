"""Management routes of the gateway's HTTP port, as the JSON they answer with."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from vectron.admin_methods import AdminMethods
from vectron.admin_methods_async import AsyncAdminMethods
from vectron.errors import InvalidArgumentError, VectronError, make_error
from vectron.options import OTHER_WRITE, READ

if TYPE_CHECKING:
    from vectron.transport import Budget, Connection

_CODES = {
    3: "INVALID_ARGUMENT", 4: "DEADLINE_EXCEEDED", 5: "NOT_FOUND", 6: "ALREADY_EXISTS", 7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION", 10: "ABORTED", 11: "OUT_OF_RANGE", 12: "UNIMPLEMENTED", 13: "INTERNAL",
    14: "UNAVAILABLE", 15: "DATA_LOSS", 16: "UNAUTHENTICATED",
}  # fmt: skip
# Of answers that are not a Vectron's: a proxy's, most likely.
_CODES_OF_STATUS = {429: "RESOURCE_EXHAUSTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The credential is the gateway's to see: no answer may send it to another address."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Http:
    """Attempts at calls of the HTTP port of a connection's gateway. Thread-safe."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def begin(self, timeout: float | None) -> Budget:
        """The time of a call that begins now."""
        if not self._connection.options.http_url:
            raise InvalidArgumentError(
                "management calls go to the gateway's HTTP port: give the client http_url='http://localhost:8080'"
            )
        return self._connection.budget(timeout)

    def attempt(self, verb: str, path: str, body: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
        url = (self._connection.options.http_url or "").rstrip("/")
        request = urllib.request.Request(
            url + path,
            method=verb,
            data=json.dumps(body or {}).encode() if verb == "POST" else None,
            headers={"content-type": "application/json", **dict(self._connection.metadata(()))},
        )
        opener = urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=self._tls()))
        try:
            with opener.open(request, timeout=seconds) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            with error:
                raise _error_of(error, url) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)  # what a URLError is about
            code = "DEADLINE_EXCEEDED" if isinstance(reason, TimeoutError) else "UNAVAILABLE"
            raise make_error(code, str(reason), url, http=True) from None
        except ValueError:
            raise make_error("INTERNAL", f"the answer of {url} is no JSON: is this a Vectron's HTTP port?", url) from None

    def _tls(self) -> ssl.SSLContext | None:
        options = self._connection.options
        if not (options.http_url or "").startswith("https"):
            return None
        roots = options.tls_root_certificates
        context = ssl.create_default_context(cadata=roots.decode() if roots else None)
        if options.tls_client_certificate is not None and options.tls_client_key is not None:
            # The standard library takes them from a file only; it is nobody else's to read, and gone at once.
            with tempfile.NamedTemporaryFile() as file:
                file.write(options.tls_client_certificate + b"\n" + options.tls_client_key)
                file.flush()
                context.load_cert_chain(file.name)
        return context


class Admin(AdminMethods):
    """The management calls of VectronClient."""

    def __init__(self, connection: Connection):
        self._http = _Http(connection)

    def _call(self, verb: str, path: str, body: dict[str, Any] | None = None, *, timeout: float | None) -> dict[str, Any]:
        budget = self._http.begin(timeout)
        while True:
            try:
                return self._http.attempt(verb, path, body, budget.next_attempt_seconds())
            except VectronError as error:
                pause = _pause(budget, error, verb)
            time.sleep(pause)


class AsyncAdmin(AsyncAdminMethods):
    """The management calls of AsyncVectronClient. Each attempt takes a thread of the event loop's while it is under way."""

    def __init__(self, connection: Connection):
        self._http = _Http(connection)

    async def _call(self, verb: str, path: str, body: dict[str, Any] | None = None, *, timeout: float | None) -> dict[str, Any]:
        budget = self._http.begin(timeout)
        while True:
            try:
                return await asyncio.to_thread(self._http.attempt, verb, path, body, budget.next_attempt_seconds())
            except VectronError as error:
                pause = _pause(budget, error, verb)
            await asyncio.sleep(pause)


def _pause(budget: Budget, error: VectronError, verb: str) -> float:
    """The seconds before the next attempt; raises the error when there is to be none."""
    pause = budget.pause_seconds(error, READ if verb == "GET" else OTHER_WRITE)
    if pause is None:
        raise error
    return pause


def _error_of(error: urllib.error.HTTPError, url: str) -> VectronError:
    """The error of an answer that is none of success."""
    if 300 <= error.code < 400:
        target = urllib.parse.urlsplit(urllib.parse.urljoin(url, error.headers.get("Location", "")))
        there = (target.hostname or "nowhere") + (f":{target.port}" if target.port else "")
        return make_error(
            "INVALID_ARGUMENT",
            f"{url} redirects to {target.scheme}://{there}, where the credential is not sent; if it is the gateway, give it as "
            "http_url",
            url,
        )
    try:
        body = json.load(error)
    except (ValueError, OSError, http.client.HTTPException):
        body = None
    if not isinstance(body, dict):
        body = {"message": f"HTTP {error.code} without a Vectron error"}
    code = _CODES.get(body.get("code", 2)) or _CODES_OF_STATUS.get(error.code, "UNKNOWN")
    retry_after = error.headers.get("Retry-After", "")
    return make_error(code, body.get("message", ""), url, float(retry_after) if retry_after.isdigit() else None, http=True)
