"""Requests whose client has gone: their work is dropped."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

GONE: Final = "http.disconnect"


class DropGone:
    """Cancels the work of a request when its client hangs up after the body has come, and raises ClientDisconnect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_body = asyncio.Event()

        async def noted() -> Message:
            message = await receive()
            if message["type"] == GONE or not message.get("more_body", False):
                has_body.set()
            return message

        async def hangs_up() -> None:
            await has_body.wait()
            while (await receive())["type"] != GONE:
                pass

        work = asyncio.ensure_future(self._app(scope, noted, send))
        watch = asyncio.create_task(hangs_up())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
                raise ClientDisconnect
            work.result()
        finally:
            work.cancel()
            watch.cancel()
