"""The service as a process: it finds the model, listens, and ends in good order."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import torch
import uvicorn
from fastapi import FastAPI

from coronet_core.support.errors import CoroNetError, ParamsError
from serving.app import build_app
from serving.current_service import CurrentServices
from serving.guards.connections import BACKLOG, LimitedProtocol, OpenConnections, fit_open_files
from serving.guards.log_limit import limit_logs
from serving.service import ServedModel
from serving.settings import ServingSettings
from tasks.inference.attribution import MapSettings
from tasks.inference.model_source import load_model, model_card
from tasks.runtime.compute.cpu import use_cpu_threads

LAST_RUN: Final = "the last run"
GRACE_S: Final = 30
"""For running requests when the service is shut down."""
HEADER_BYTES: Final = 16 * 1024
"""Of a request's line and headers; beyond them 400."""
IDLE_S: Final = 30
"""After which a connection without a request is closed."""


@dataclass(frozen=True, kw_only=True)
class BindAddress:
    """Where the service listens."""

    host: str
    port: int
    proxy: str | None
    """Address of a proxy whose word on who the client is counts; None: nobody's does."""


def serve(
    source: str | None,
    params: Path | None,
    device: Literal["auto", "cpu", "cuda"],
    place: BindAddress,
    settings: ServingSettings,
    on_rows: Callable[[pa.Table], object] | None = None,
    challenger: str | None = None,
) -> None:
    """Serve the model that `source` names until the process is shut down, and a `challenger` beside it if one is named.

    `params` is the file that says how maps are made; without one it is the run that trained the model, as for `coronet
    explain`. Raises CoroNetError when the service cannot start.
    """
    use_cpu_threads(share=1)
    model = load_model(source)
    maps = MapSettings.of(params, source, model.image_size_px)
    served = ServedModel(
        model=model,
        device=_device(device),
        source=source or LAST_RUN,
        card=model_card(source),
        explain=maps.params,
        seed=maps.seed,
        on_rows=on_rows,
    )
    other = None if challenger is None else _challenger_of(served, challenger)
    run(build_app(served, settings, other), place)


def _challenger_of(served: ServedModel, source: str) -> ServedModel:
    """Return the model at `source`, explained as `served` is. Raises CoroNetError if it cannot be loaded."""
    try:
        model = load_model(source)
    except CoroNetError as error:
        raise CoroNetError(f"challenger = {source}: cannot be loaded. {error}") from error
    if model.digest == served.model.digest:
        print(f"warning: {source} and {served.source} are the same model now.", file=sys.stderr)
    return replace(served, model=model, source=source, card=model_card(source), on_rows=None)


def run(app: FastAPI, place: BindAddress) -> None:
    """Run `app` at `place` until Ctrl-C or SIGTERM. Raises CoroNetError when it cannot listen there."""
    limit_logs()
    server = server_of(app, place)
    with suppress(KeyboardInterrupt, SystemExit):  # raised by uvicorn when it is shut down, and when it cannot
        server.run()
    if not server.started:
        raise CoroNetError(f"cannot listen on {place.host}, port {place.port}. Is it taken? Give another with --port.")


def server_of(app: FastAPI, place: BindAddress) -> uvicorn.Server:
    """Return what serves `app` at `place` when it is run. uvicorn's access log is off: the app has its own."""
    config = uvicorn.Config(
        app,
        http=partial(LimitedProtocol, open_connections=_open_connections(app, place)),  # type: ignore[arg-type]
        ws="none",
        h11_max_incomplete_event_size=HEADER_BYTES,
        backlog=BACKLOG,
        host=place.host,
        port=place.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=place.proxy is not None,  # by default uvicorn trusts any client on this machine
        forwarded_allow_ips=place.proxy,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    return _Server(config)


def _open_connections(app: FastAPI, place: BindAddress) -> OpenConnections:
    services: CurrentServices = app.state.services
    current = services.model
    settings = current.service.settings
    most = fit_open_files(settings.connections)
    if most < settings.connections:
        print(
            f"warning: {most} connections at most: the limit of open files (ulimit -n) allows no more.", file=sys.stderr
        )
    return OpenConnections(
        most=most,
        most_of_client=settings.connections_per_client,
        header_seconds=settings.header_seconds,
        proxies=frozenset((place.proxy or "").replace(" ", "").split(",")),
        on_closed=lambda reason: current.metrics.connections_closed.labels(reason).inc(),
    )


class _Server(uvicorn.Server):
    """Says where it is, once it is there."""

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            port = self.servers[0].sockets[0].getsockname()[1]
            print(f"The reading page: http://{host}:{port}  The API: /docs  Ctrl-C stops it.", flush=True)


def _device(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    has_gpu = torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise ParamsError("device = cuda: torch finds no GPU here. Leave --device out, or give cpu.")
    return torch.device("cuda" if has_gpu and wanted != "cpu" else "cpu")
