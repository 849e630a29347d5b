"""The reading page, an image to try it with, and the page of the API, from files that need no network."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from PIL import Image
from starlette.responses import FileResponse, Response

from coronet_core.common.classes import ClassName
from coronet_core.data.sources import phantom
from serving.explanations import png
from serving.openapi import problems

STATIC: Final = Path(__file__).parents[1] / "static"
SEED: Final = 2020
PATIENT: Final = "example"
SIDE_PX: Final = 512


def docs_assets() -> Path:
    """Return the folder of Swagger UI as the package fastapi-offline brings it."""
    return Path(str(files("fastapi_offline") / "static"))


def page_routes() -> APIRouter:
    """Return the routes of the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def reading_page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    @router.get("/docs")
    async def api_page() -> FileResponse:
        return FileResponse(STATIC / "docs.html", headers={"Cache-Control": "no-cache"})

    @router.get("/favicon.ico")
    async def icon() -> FileResponse:
        return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")

    return router


def example_routes() -> APIRouter:
    """Return the route of the example."""
    router = APIRouter(tags=["images"])

    @router.get("/example", response_class=Response, responses=problems(422) | {200: {"content": {"image/png": {}}}})
    def example(label: ClassName = "pneumonia") -> Response:
        """Return a synthetic image of a class: a drawing of a chest X-ray, PNG. It shows no patient."""
        return Response(_drawing(label), media_type="image/png")

    return router


@cache
def _drawing(label: ClassName) -> bytes:
    pixels, _ = phantom.draw(SEED, label, PATIENT, 0, SIDE_PX)  # (SIDE_PX, SIDE_PX)
    return png(Image.fromarray(pixels))
