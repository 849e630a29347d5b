"""The reading page and the page of the API, from files that need no network."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import FileResponse

STATIC: Final = Path(__file__).parents[1] / "static"


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
