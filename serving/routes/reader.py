"""The route by which a reader's verdict is stored."""

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from coronet_core.support.errors import DataError
from serving.guards.request_log import print_line
from serving.openapi import problems
from serving.problems import Problem
from serving.settings import ServingSettings
from serving.uploads import JSON, read_json
from serving.verdicts.reader_verdict import ReaderVerdict
from serving.verdicts.verdict_table import VerdictTable

NOT_STORED = "The verdict was not stored: the table cannot be written. The service's log says why."


class Stored(BaseModel):
    """A verdict that was stored."""

    read_at: str = Field(description="When, by the clock of the service: ISO 8601, UTC.")


def reader_routes(table: VerdictTable, settings: ServingSettings) -> APIRouter:
    """Return the route that appends verdicts to `table`."""
    router = APIRouter(tags=["reader"])
    content = {JSON: {"schema": ReaderVerdict.model_json_schema()}}

    @router.post(
        "/verdicts",
        responses=problems(500, of_work=True),
        openapi_extra={"requestBody": {"required": True, "content": content}},
    )
    async def store(request: Request) -> Stored:
        """Store a reader's verdict on an image. Earlier verdicts are kept; the last one of a reader counts."""
        verdict = await read_json(request, settings, ReaderVerdict)
        try:
            return Stored(read_at=await asyncio.to_thread(table.append, verdict))
        except (OSError, DataError) as error:
            print_line(error=str(error))
            raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, NOT_STORED, reason="verdict_not_stored") from error

    return router
