"""The service in OpenAPI: what FastAPI finds by itself, and the problems that it cannot see."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from serving.problems import MEDIA_TYPE, ProblemDetails

REF: Final = "#/components/schemas/{model}"
ALWAYS: Final = {
    401: "No valid API key.",
    403: "The request comes from a page of another site.",
    421: "The service does not accept this host name.",
}
OF_WORK: Final = {
    400: "Malformed HTTP.",
    408: "The upload took too long.",
    413: "Too large, or too many files.",
    415: "Neither a form nor JSON.",
    422: "Not as described here, or no readable image.",
    429: "Too many requests from this address.",
    503: "A queue is full.",
}
OF_FILES: Final = {500: "A file of the service cannot be written."}
MODEL_HEADER: Final = "X-Model"
"""Of answers that are not JSON: the digest of the model that made them."""
SUMMARY: Final = (
    "COVID-19, other pneumonia and healthy lungs on chest X-rays. Research software, not a medical device. "
    "Send images as files; URLs are not fetched."
)


def problems(*also: int, of_work: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of the problems of a route, as FastAPI takes them."""
    others = {status: (OF_WORK | OF_FILES)[status] for status in also}
    descriptions: dict[int, str] = ALWAYS | (OF_WORK if of_work else {}) | others
    content = {MEDIA_TYPE: {"schema": {"$ref": REF.format(model=ProblemDetails.__name__)}}}
    return {status: {"description": text, "content": content} for status, text in descriptions.items()}


def files_made(content: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of a route whose answers a model has made, as files of the media types of `content`."""
    header = {
        "description": "Digest of the model that made a picture or DICOM file; JSON names it itself.",
        "schema": {"type": "string"},
    }
    return problems(of_work=True) | {
        200: {"description": "Made.", "content": content, "headers": {MODEL_HEADER: header}}
    }


def describe(app: FastAPI, *, asks_for_keys: bool) -> None:
    """Let `app` describe itself with its problems, and with API keys if it asks for them."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=SUMMARY, routes=app.routes)
            _, found = models_json_schema([(ProblemDetails, "serialization")], ref_template=REF)
            components = made.setdefault("components", {})
            components.setdefault("schemas", {}).update(found["$defs"])
            if asks_for_keys:
                components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
                made["security"] = [{"key": []}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it
