"""A guard against cross-site requests: other sites' pages must not command a local server through a browser.

A page can send requests to any address that the browser reaches, loopback included, and by a name of its own that it
lets point here (DNS rebinding) even read the answers. Neither Prefect nor MLflow refuses all of that by itself.
"""

import os
import re
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from coronet_core.support.errors import ParamsError

HOSTS_VARIABLE: Final = "CORONET_ALLOWED_HOSTS"
"""Environment variable: further host names, separated by commas, by which the servers may be called."""
LOOPBACK: Final = ("127.0.0.1", "localhost")


HOST_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE)
OPENED_BY_A_PERSON: Final = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
"""How a browser marks a page that it opens in a tab, such as behind a link, and not in a frame."""


class OwnPagesOnly:
    """ASGI middleware: requests and WebSockets of a browser must come from the server's own pages.

    Browsers name the page that a request comes from, in `Origin` or in `Sec-Fetch-Site`; programs send neither.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it with 403."""
        if scope["type"] in {"http", "websocket"} and _is_foreign(Headers(scope=scope), scope.get("method")):
            refusal = PlainTextResponse("Pages of other sites may not use this server. Open its own page.", 403)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def guarded(app: ASGIApp) -> ASGIApp:
    """Return `app` behind checks of `Host` (400) and `Origin` (403)."""
    return TrustedHostMiddleware(OwnPagesOnly(app), allowed_hosts=allowed_hosts(), www_redirect=False)


def allowed_hosts() -> list[str]:
    """Return the names, without ports, by which the servers may be called. Raises ParamsError for what is no name."""
    named = [name.strip() for name in os.environ.get(HOSTS_VARIABLE, "").split(",") if name.strip()]
    for name in named:
        if HOST_NAME.fullmatch(name) is None:
            raise ParamsError(f"{HOSTS_VARIABLE}: {name}: allowed: host names without scheme or port, by commas.")
    return [*LOOPBACK, *named]


def _is_foreign(headers: Headers, method: str | None) -> bool:
    """Whether another site's page sends this; a link that somebody follows is not meant."""
    host = headers.get("host", "").lower()
    if any(origin.lower().partition("://")[2] != host for origin in headers.getlist("origin")):
        return True
    if headers.get("sec-fetch-site", "none") in {"none", "same-origin"}:
        return False
    return method != "GET" or any(headers.get(name) != value for name, value in OPENED_BY_A_PERSON.items())
