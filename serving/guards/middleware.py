"""Middleware: hosts, rates and concurrency are checked before a request's body is read."""

import math
from collections import Counter
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.guards.api_keys import is_accepted
from serving.guards.rate_limit import RateLimit
from serving.problems import Problem, problem_response, too_busy
from serving.settings import ServingSettings, parse_rate

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
WORK: Final = "POST"
OPEN: Final = ("/", "/docs", "/openapi.json", "/favicon.ico", "/health", "/ready")
OPEN_FOLDERS: Final = ("/static/", "/docs-static/")
"""What needs no API key: pages without anything of the model or of an image, and what probes ask."""


class Guards:
    """Checks of host, origin, API key, rate and load.

    A page of another site that is open in somebody's browser can send requests to a service on the same machine, and
    by a name that it lets point here even read the answers. So only known names are served, and browsers say where a
    request comes from.
    """

    def __init__(self, app: ASGIApp, settings: ServingSettings) -> None:
        self._app = app
        self._hosts = {name.lower() for name in (*LOOPBACK, *settings.hosts)}
        self._keys = settings.keys
        self._rate_limit = RateLimit(parse_rate(settings.rate))
        self._at_once = settings.requests_at_once
        self._in_work: Counter[str] = Counter()  # requests by client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_work = scope["method"] == WORK
        headers = Headers(scope=scope)
        problem = self._stranger(headers) or self._without_key(headers, scope["path"])
        client = (scope.get("client") or ("unknown",))[0]
        if problem is None and is_work:
            problem = self._overload(client) or await self._rate_limit.count(client)
        if problem is not None:
            scope["state"]["refused_because"] = problem.reason
            await problem_response(problem, scope["state"]["request_id"])(scope, receive, send)
            return
        self._in_work[client] += is_work
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_work[client] -= is_work
            self._in_work = +self._in_work  # clients without one are forgotten

    def _stranger(self, headers: Headers) -> Problem | None:
        host = headers.get("host", "").lower()
        if _name(host) not in self._hosts:
            detail = "The service does not accept this host name. Start it with --allow-host NAME to allow it."
            return Problem(HTTPStatus.MISDIRECTED_REQUEST, detail, reason="unknown_host")
        is_foreign = any(origin.lower().partition("://")[2] != host for origin in headers.getlist("origin"))
        if is_foreign or headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            detail = (
                "Pages of other sites may not use the service. Open its own page; a proxy must pass the header Host."
            )
            return Problem(HTTPStatus.FORBIDDEN, detail, reason="other_site")
        return None

    def _without_key(self, headers: Headers, path: str) -> Problem | None:
        if not self._keys or path in OPEN or path.startswith(OPEN_FOLDERS):
            return None
        if is_accepted(headers.get("authorization", ""), self._keys):
            return None
        detail = "The service asks for an API key. Send it in the header Authorization: Bearer KEY."
        return Problem(HTTPStatus.UNAUTHORIZED, detail, reason="key")

    def _overload(self, client: str) -> Problem | None:
        """Refuse what is too much in all, or of one client, who might hold all of it by uploads that never end."""
        if self._in_work.total() >= self._at_once:
            return too_busy("Too many requests are in progress")
        if self._in_work[client] >= math.ceil(self._at_once / 2):
            return too_busy("Too many requests from this address are in progress")
        return None


def _name(host: str) -> str:
    """Return the name of `host` without its port, in lower case; of what is no name, nothing."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
