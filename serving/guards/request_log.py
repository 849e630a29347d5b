"""Around every request: its id, its line in the log, its Prometheus metrics, the headers that keep browsers careful."""

import json
import re
import secrets
import time
import traceback
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.guards.log_limit import LAST, LINES, LineLimit
from serving.problems import Problem, problem_response

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST
SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES: Final = (1, 2, 4, 8, 16, 32, 64)
METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
ID_HEADER: Final = "X-Request-ID"
CLIENT_CLOSED_REQUEST: Final = 499
"""Status, in log and metrics alone, of a request whose client hung up before it was complete (nginx's number)."""
ID_TAKEN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class ServiceMetrics:
    """Counters of one service. Labels are routes, classes and reasons: nothing of a client or an image."""

    def __init__(self, prefix: str = "coronet") -> None:
        """`prefix` begins the names of all metrics."""
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            f"{prefix}_requests", "Requests by route and status.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            f"{prefix}_request_seconds", "Time to answer a request.", ["route"], buckets=SECONDS, registry=registry
        )
        self.connections_closed = Counter(
            f"{prefix}_connections_closed", "Connections that the service closed.", ["reason"], registry=registry
        )
        self.refused = Counter(f"{prefix}_refused", "Requests that were refused.", ["reason"], registry=registry)
        self.images = Counter(f"{prefix}_images", "Images by outcome.", ["outcome"], registry=registry)
        self.batch_images = Histogram(f"{prefix}_batch_images", "Images per batch.", buckets=SIZES, registry=registry)
        self.explanation_seconds = Histogram(
            f"{prefix}_explanation_seconds",
            "Time for a map.",
            ["method"],
            buckets=SECONDS,
            registry=registry,
        )
        self._waiting = Gauge(f"{prefix}_queue_images", "Images that wait for the networks.", registry=registry)
        self._model = Gauge(f"{prefix}_model_info", "The model in use.", ["digest"], registry=registry)

    def in_use(self, model_digest: str, waiting: Callable[[], int]) -> None:
        """Note which model answers; `waiting` tells how many images are in its queue."""
        self._model.clear()
        self._model.labels(model_digest).set(1)
        self._waiting.set_function(waiting)

    def exposition(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)


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
                _add_headers(MutableHeaders(scope=message), state["request_id"])
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


def _add_headers(headers: MutableHeaders, request_id: str) -> None:
    headers[ID_HEADER] = request_id
    headers.update(HEADERS)
    headers.setdefault("Cache-Control", "no-store")
