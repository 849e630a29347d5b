"""Requests whose client has gone: their work is dropped."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

GONE: Final = "http.disconnect"
ANSWER: Final = "http.response.body"


class DropGone:
    """Cancels the work of a request when its client hangs up after the body has come, and raises ClientDisconnect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_body, is_answered = asyncio.Event(), asyncio.Event()

        async def noted() -> Message:
            message = await receive()
            if message["type"] == GONE or not message.get("more_body", False):
                has_body.set()
            return message

        async def answered(message: Message) -> None:
            if message["type"] == ANSWER and not message.get("more_body", False):
                is_answered.set()
            await send(message)

        async def hangs_up() -> None:
            await has_body.wait()
            while (await receive())["type"] != GONE:
                pass

        work = asyncio.ensure_future(self._app(scope, noted, answered))
        watch = asyncio.create_task(hangs_up())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not (work.done() or is_answered.is_set()):  # servers say of an answered request, too, that it is gone
                work.cancel()
                await asyncio.wait({work})
                raise ClientDisconnect
            await work
        finally:
            work.cancel()
            watch.cancel()
