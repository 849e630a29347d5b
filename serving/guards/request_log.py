"""Around every request: its id, its line in the log, its metrics and headers."""

import json
import re
import secrets
import time
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.guards.log_limit import LAST, LINES, LineLimit
from serving.guards.security_headers import add_security_headers
from serving.guards.service_metrics import ServiceMetrics
from serving.problems import Problem, problem_response

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
ID_HEADER: Final = "X-Request-ID"
CLIENT_CLOSED_REQUEST: Final = 499
"""Status, in log and metrics alone, of a request whose client hung up before it was complete (nginx's number)."""
ID_TAKEN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """The outermost part of the service; what goes wrong unforeseen ends here, as a problem and with its traceback."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics, *, writes_lines: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._writes_lines = writes_lines
        self._limit = LineLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        given = Headers(scope=scope).get(ID_HEADER, "")
        state = scope.setdefault("state", {})
        state["request_id"] = given if ID_TAKEN.fullmatch(given) else secrets.token_hex(8)
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value
        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                headers = MutableHeaders(scope=message)
                headers[ID_HEADER] = state["request_id"]
                add_security_headers(headers)
            await send(message)

        error: str | None = None
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            status, state["refused_because"] = CLIENT_CLOSED_REQUEST, "client_disconnected"
        except Exception:  # noqa: BLE001  # the client gets an id, the log the rest
            error = traceback.format_exc()
            if not has_begun:
                detail = "Internal error. Give the request's id to the operator: the log has the details."
                problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)
                await problem_response(problem, state["request_id"])(scope, receive, send_with_headers)
        self._tell(scope, state, status, time.perf_counter() - began, error)

    def _tell(
        self, scope: Scope, state: MutableMapping[str, Any], status: int, seconds: float, error: str | None
    ) -> None:
        route = getattr(scope.get("route"), "path", "") or "other"
        method = scope["method"] if scope["method"] in METHODS else "other"  # a client may make up any number of them
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if reason := state.get("refused_because"):
            self._metrics.refused.labels(reason).inc()
        line = {
            "request_id": state["request_id"],
            "client": (scope.get("client") or ("unknown",))[0],
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 1),
            "images": state.get("images"),
            "refused_because": state.get("refused_because"),
            "error": error,
        }
        is_refused = status >= HTTPStatus.BAD_REQUEST
        count = self._limit.count((route, status, state.get("refused_because"))) if is_refused else 0
        if count == LINES:
            line["note"] = LAST
        if (self._writes_lines or error is not None) and count <= LINES:
            print_line(**{key: value for key, value in line.items() if value is not None})


def print_line(**fields: Any) -> None:
    """Print one line of the log."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(json.dumps({"time": now, **fields}), flush=True)
