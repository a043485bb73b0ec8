"""The management calls of both clients.

Those of the blocking client are made from this file as well: generate.py writes admin_methods.py, without `async` and `await`.
"""

from __future__ import annotations

import urllib.parse
from typing import Any


def _query(path: str, **parameters: Any) -> str:
    """The path with those parameters that say something."""
    query = urllib.parse.urlencode({name: value for name, value in parameters.items() if value})
    return f"{path}?{query}" if query else path


def _quoted(id: str) -> str:
    return urllib.parse.quote(id, safe="")


class AsyncAdminMethods:
    """All but health need an administrator's credential. timeout: seconds, of a call with its retries."""

    async def health(self, *, timeout: float | None = None) -> dict[str, Any]:
        """overall_status, services, alerts and metrics; a user who is no administrator sees the overall status only."""
        return await self._call("GET", "/v1/system/health", timeout=timeout)

    async def stats(self, *, timeout: float | None = None) -> dict[str, Any]:
        """Uptime, requests, rates and latencies of the gateway, and per endpoint."""
        return await self._call("GET", "/v1/admin/stats", timeout=timeout)

    async def workers(self, *, timeout: float | None = None) -> list[dict[str, Any]]:
        return list((await self._call("GET", "/v1/admin/workers", timeout=timeout))["workers"])

    async def collections(self, *, timeout: float | None = None) -> list[dict[str, Any]]:
        """Those of everyone."""
        return list((await self._call("GET", "/v1/admin/collections", timeout=timeout))["collections"])

    async def alerts(
        self, status: str | None = None, level: str | None = None, *, limit: int = 0, timeout: float | None = None
    ) -> list[dict[str, Any]]:
        """Active ones first, then the newest. status: "active" or "resolved", level: "info", "warning" or "critical"; None for
        all. limit: 0 for all that are kept."""
        path = _query("/v1/alerts", status=status, level=level, limit=limit)
        return list((await self._call("GET", path, timeout=timeout))["alerts"])

    async def resolve_alert(self, id: str, *, timeout: float | None = None) -> dict[str, Any]:
        """NotFoundError."""
        return await self._call("POST", f"/v1/alerts/{_quoted(id)}/resolve", timeout=timeout)

    async def drain_worker(self, worker_id: str, *, cancel: bool = False, timeout: float | None = None) -> dict[str, Any]:
        """Moves all shards off a worker; cancel: stops that. `shardsLeft` says how many are to go."""
        return await self._call("POST", f"/v1/admin/workers/{_quoted(worker_id)}/drain", {"cancel": cancel}, timeout=timeout)

    async def remove_worker(self, worker_id: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Forgets a worker that holds no shards. FailedPreconditionError: it still holds some."""
        return await self._call("DELETE", f"/v1/admin/workers/{_quoted(worker_id)}", timeout=timeout)

    async def rebalance(self, *, dry_run: bool = False, timeout: float | None = None) -> dict[str, Any]:
        """Spreads shards evenly; the `moves`. dry_run: only says them."""
        return await self._call("POST", "/v1/admin/rebalance", {"dryRun": dry_run}, timeout=timeout)

    async def time_series(
        self, *, window_seconds: int = 3_600, until: float = 0, max_points: int = 0, timeout: float | None = None
    ) -> dict[str, Any]:
        """Figures over time: `points`, oldest first, `stepSeconds` apart. window_seconds: at most 7 days. until: milliseconds
        since the Unix epoch; 0: now. max_points: at most 2,200; 0: 360."""
        path = _query("/v1/admin/series", windowSeconds=window_seconds, until=until, maxPoints=max_points)
        return await self._call("GET", path, timeout=timeout)

    async def slow_queries(self, collection: str = "", *, limit: int = 0, timeout: float | None = None) -> dict[str, Any]:
        """Searches that took longer than `thresholdMs`, newest first, as `queries`. collection: empty for all. limit: 0 for
        100."""
        return await self._call("GET", _query("/v1/admin/slow-queries", collection=collection, limit=limit), timeout=timeout)

    async def _call(self, verb: str, path: str, body: dict[str, Any] | None = None, *, timeout: float | None) -> dict[str, Any]:
        """One call with its retries: a GET is a read; what else there is may have happened."""
        raise NotImplementedError
