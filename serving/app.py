"""The application: addresses, guards and the service behind them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from serving.alias_watch import AliasWatch, is_alias
from serving.current_service import CurrentService
from serving.guards.gone_clients import DropGone
from serving.guards.middleware import Guards
from serving.guards.request_log import RequestLog, ServiceMetrics
from serving.openapi import describe
from serving.problems import SafeJsonResponse, add_problem_handlers
from serving.routes.example import example_routes
from serving.routes.images import image_routes
from serving.routes.pages import STATIC, docs_assets, page_routes
from serving.routes.reader import reader_routes
from serving.routes.status import status_routes
from serving.service import ServedModel, Service
from serving.settings import ServingSettings
from serving.verdicts.verdict_table import VerdictTable

TITLE: Final = "CoroNet"


def build_app(served: ServedModel, settings: ServingSettings) -> FastAPI:
    """Return the application. Raises CoroNetError when the model or the settings cannot be used."""
    metrics = ServiceMetrics()
    current = CurrentService(Service(served, settings, metrics), metrics)
    watch = AliasWatch(served.source, current, settings.alias_seconds) if is_alias(served.source) else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with current:
            if watch is not None:
                watch.start()
            yield
            if watch is not None:
                watch.stop()

    app = FastAPI(
        title=TITLE,
        version=version("coronet"),
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load their scripts from another server
        redoc_url=None,
        default_response_class=SafeJsonResponse,
        redirect_slashes=False,
    )
    app.state.current = current
    for router in (image_routes(settings), example_routes(), status_routes(current), page_routes()):
        app.include_router(router)
    if settings.verdicts is not None:
        app.include_router(reader_routes(VerdictTable(settings.verdicts), settings))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.mount("/docs-static", StaticFiles(directory=docs_assets()), name="docs-static")
    add_problem_handlers(app)
    describe(app, asks_for_keys=bool(settings.keys))
    app.add_middleware(DropGone)
    app.add_middleware(Guards, settings=settings)
    app.add_middleware(RequestLog, metrics=metrics, writes_lines=settings.log_requests)
    return app
