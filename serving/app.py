"""The application: addresses, guards and the service behind them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from serving.alias_watch import AliasWatch, is_alias
from serving.current_service import CurrentService, CurrentServices
from serving.guards.gone_clients import DropGone
from serving.guards.middleware import Guards
from serving.guards.request_log import RequestLog
from serving.guards.service_metrics import ServiceMetrics
from serving.openapi import describe
from serving.problems import SafeJsonResponse, add_problem_handlers
from serving.routes.images import image_routes
from serving.routes.pages import STATIC, docs_assets, example_routes, page_routes
from serving.routes.reader import reader_routes
from serving.routes.reports import report_routes
from serving.routes.status import status_routes
from serving.service import ServedModel, Service
from serving.settings import ServingSettings
from serving.verdicts.verdict_table import VerdictTable

TITLE: Final = "CoroNet"
CHALLENGER_METRICS: Final = "coronet_challenger"


def build_app(served: ServedModel, settings: ServingSettings, challenger: ServedModel | None = None) -> FastAPI:
    """Return the application. Raises CoroNetError when a model or the settings cannot be used.

    `challenger` answers beside the model, for requests that ask for it.
    """
    metrics = ServiceMetrics()
    services = CurrentServices(
        model=_current(served, settings, metrics),
        challenger=None
        if challenger is None
        else _current(challenger, settings, ServiceMetrics(prefix=CHALLENGER_METRICS)),
    )
    watches = [
        AliasWatch(source, current, settings.alias_seconds)
        for current in services.all
        if is_alias(source := current.service.served.source)
    ]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for current in services.all:
                await stack.enter_async_context(current)
            for watch in watches:
                watch.start()
                stack.callback(watch.stop)
            yield

    app = FastAPI(
        title=TITLE,
        version=version("coronet"),
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load their scripts from another server
        redoc_url=None,
        default_response_class=SafeJsonResponse,
        redirect_slashes=False,
    )
    app.state.services = services
    routers = (
        image_routes(settings),
        report_routes(settings),
        example_routes(),
        status_routes(services),
        page_routes(),
    )
    for router in routers:
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


def _current(served: ServedModel, settings: ServingSettings, metrics: ServiceMetrics) -> CurrentService:
    return CurrentService(Service(served, settings, metrics), metrics)
