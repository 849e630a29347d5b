"""Errors as clients get them: problem details (RFC 9457) that say what was wrong and what to do."""

import json
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from serving.response_models import FileAnswer

ESCAPES: Final = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
MEDIA_TYPE: Final = "application/problem+json"
SOON_S: Final = 2
"""After which it is worth trying again when a queue is full."""


def json_bytes(value: Any) -> bytes:
    """Return `value` as JSON in UTF-8, `<`, `>` and `&` escaped. NaN is refused."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    for plain, escaped in ESCAPES:
        text = text.replace(plain, escaped)
    return text


class SafeJsonResponse(JSONResponse):
    """A response of JSON without markup."""

    def render(self, content: Any) -> bytes:
        """Return the bytes that are sent."""
        return json_bytes(content)


class ProblemDetails(BaseModel):
    """Why there is no prediction."""

    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What was wrong, and what to do.")
    request_id: str = Field(description="As in the header X-Request-ID and in the service's log.")
    files: list[FileAnswer] | None = Field(default=None, description="For each file, why it could not be read.")


class Problem(Exception):  # noqa: N818  # what RFC 9457 calls it
    """Ends a request with problem details."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        retry_after_s: int | None = None,
        files: list[FileAnswer] | None = None,
        reason: str | None = None,
        *,
        hangs_up: bool = False,
    ) -> None:
        """`detail` says what was wrong and what to do; `reason` is one word for the metrics, by default the status.

        After some there is no more to be read on the connection: it `hangs_up`.
        """
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.files = files
        self.reason = reason or status.name.lower()
        self.hangs_up = hangs_up


def too_busy(what: str) -> Problem:
    """Return the problem of a full queue."""
    detail = f"{what}. Try again after the seconds in Retry-After."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after_s=SOON_S, reason="queue_full")


def unreadable(reason: str, files: list[FileAnswer] | None = None) -> Problem:
    """Return the problem of images of which none can be read, with the decoder's `reason`."""
    detail = f"No readable image: {reason}. Send X-rays as PNG, JPEG, TIFF or DICOM."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, files=files, reason="unreadable")


def problem_response(problem: Problem, request_id: str) -> Response:
    """Return `problem` as it is sent."""
    details = ProblemDetails(
        title=problem.status.phrase,
        status=problem.status,
        detail=problem.detail,
        request_id=request_id,
        files=problem.files,
    )
    headers = {} if problem.retry_after_s is None else {"Retry-After": str(problem.retry_after_s)}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.hangs_up:
        headers["Connection"] = "close"
    content = json_bytes(details.model_dump(exclude_none=True))
    return Response(content, problem.status, headers, media_type=MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Let every error of `app` end as problem details."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, error: Problem) -> Response:
        request.state.refused_because = error.reason
        return problem_response(error, request.state.request_id)

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        response = problem_response(Problem(status, _what_to_do(status)), request.state.request_id)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(invalid(error.errors()), request.state.request_id)


def invalid(errors: Any) -> Problem:
    """Return the problem of parameters or a body that break the API's description. Quotes no value of theirs."""
    faults = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in errors)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{faults}. Correct the request; /docs describes it.")


def _what_to_do(status: HTTPStatus) -> str:
    match status:
        case HTTPStatus.NOT_FOUND:
            return "There is nothing at this address. /docs lists what there is."
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return "This address does not support this method. Use one in the header Allow."
        case _:
            return f"{status.description or status.phrase}. /docs describes valid requests."
