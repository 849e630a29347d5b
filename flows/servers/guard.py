"""What keeps pages of other sites from commanding a server of this machine through somebody's browser.

A page can send requests to any address that the browser reaches, loopback included, and by a name of its own that it
lets point here (DNS rebinding) even read the answers. Neither Prefect nor MLflow refuses all of that by itself.
"""

import os
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS_VARIABLE: Final = "CORONET_ALLOWED_HOSTS"
"""Environment variable: further host names, separated by commas, by which the servers may be called."""
LOOPBACK: Final = ("127.0.0.1", "localhost")


class OwnPagesOnly:
    """ASGI middleware: a request or WebSocket with an `Origin` must come from a page of the server itself.

    Browsers name the page's origin in every request of another site that changes something and in every WebSocket;
    programs name none.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it with 403."""
        if scope["type"] in {"http", "websocket"} and not _is_own(Headers(scope=scope)):
            refusal = PlainTextResponse("Pages of other sites may not use this server. Open its own page.", 403)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def guarded(app: ASGIApp) -> ASGIApp:
    """Return `app` behind checks of `Host` (400) and `Origin` (403)."""
    return TrustedHostMiddleware(OwnPagesOnly(app), allowed_hosts=allowed_hosts(), www_redirect=False)


def allowed_hosts() -> list[str]:
    """Return the names, without ports, by which the servers may be called."""
    named = os.environ.get(HOSTS_VARIABLE, "").split(",")
    return [*LOOPBACK, *(name.strip() for name in named if name.strip())]


def _is_own(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:  # no address at all
        return False
