"""Management routes of the gateway's HTTP port, as the JSON they answer with."""

from __future__ import annotations

import http.client
import json
import ssl
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from vectron.errors import InvalidArgumentError, VectronError, make_error
from vectron.options import OTHER_WRITE, READ

if TYPE_CHECKING:
    from vectron.transport import Connection

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


class Admin:
    """All but health need an administrator's credential. Blocking; from asyncio, call it in a thread."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def health(self) -> dict[str, Any]:
        """overall_status, services, alerts and metrics; a user who is no administrator sees the overall status only."""
        return self._call("GET", "/v1/system/health")

    def stats(self) -> dict[str, Any]:
        """Uptime, requests, rates and latencies of the gateway, and per endpoint."""
        return self._call("GET", "/v1/admin/stats")

    def workers(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "/v1/admin/workers")["workers"])

    def collections(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "/v1/admin/collections")["collections"])

    def alerts(self, status: str | None = None, level: str | None = None) -> list[dict[str, Any]]:
        """status: "active" or "resolved"; None for all."""
        query = urllib.parse.urlencode({k: v for k, v in (("status", status), ("level", level)) if v})
        return list(self._call("GET", "/v1/alerts" + ("?" + query if query else ""))["alerts"])

    def resolve_alert(self, id: str) -> dict[str, Any]:
        return self._call("POST", f"/v1/alerts/{urllib.parse.quote(id, safe='')}/resolve")

    def drain_worker(self, worker_id: str, *, cancel: bool = False) -> dict[str, Any]:
        """Moves all shards off a worker; cancel: stops that. `shardsLeft` says how many are to go."""
        return self._call("POST", f"/v1/admin/workers/{urllib.parse.quote(worker_id, safe='')}/drain", {"cancel": cancel})

    def remove_worker(self, worker_id: str) -> dict[str, Any]:
        """Forgets a worker that holds no shards."""
        return self._call("DELETE", f"/v1/admin/workers/{urllib.parse.quote(worker_id, safe='')}")

    def rebalance(self, *, dry_run: bool = False) -> dict[str, Any]:
        """Spreads shards evenly; the `moves`. dry_run: only says them."""
        return self._call("POST", "/v1/admin/rebalance", {"dryRun": dry_run})

    def time_series(self, *, window_seconds: int = 3_600, until: float = 0, max_points: int = 0) -> dict[str, Any]:
        """Figures over time: `points`, oldest first, `stepSeconds` apart. until: milliseconds since the Unix epoch; 0: now."""
        query = urllib.parse.urlencode({"windowSeconds": window_seconds, "until": until, "maxPoints": max_points})
        return self._call("GET", f"/v1/admin/series?{query}")

    def slow_queries(self, collection: str = "", *, limit: int = 0) -> dict[str, Any]:
        """Searches that took longer than `thresholdMs`, newest first, as `queries`."""
        query = urllib.parse.urlencode({"collection": collection, "limit": limit})
        return self._call("GET", f"/v1/admin/slow-queries?{query}")

    def _call(self, verb: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """With the retries of any call: a GET is a read; what else there is may have happened."""
        if not self._connection.options.http_url:
            raise InvalidArgumentError(
                "management calls go to the gateway's HTTP port: give the client http_url='http://localhost:8080'"
            )
        budget = self._connection.budget(None)
        while True:
            try:
                return self._attempt(verb, path, body, budget.next_attempt_seconds())
            except VectronError as error:
                pause = budget.pause_seconds(error, READ if verb == "GET" else OTHER_WRITE)
                if pause is None:
                    raise
            time.sleep(pause)

    def _attempt(self, verb: str, path: str, body: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
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
