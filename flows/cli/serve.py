"""The command `coronet serve`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.project.preconditions import require_model, require_params, require_port, run_command


class Device(StrEnum):
    """Where the networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def serve(
    model: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="A package's folder or models:/coronet@champion; else the last run."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's let others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    params: Annotated[
        Path | None,
        typer.Option(help="Parameter file whose section `explain` says how maps are made; else params.yaml."),
    ] = None,
    device: Annotated[Device, typer.Option(help="auto takes a GPU if there is one.")] = Device.AUTO,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name besides localhost to answer to; again for more.")
    ] = None,
    proxy: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A proxy in front, whose X-Forwarded-For names the client.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Store uploaded images there, called by their hashes.")
    ] = None,
    batch_images: Annotated[int, typer.Option(help="Images through the networks together, at most.")] = 16,
    batch_wait_ms: Annotated[float, typer.Option(help="How long the first of a batch waits for others.")] = 4.0,
    queue_images: Annotated[int, typer.Option(help="Images that may wait; beyond: 503.")] = 64,
    requests_at_once: Annotated[int, typer.Option(help="Requests with images in work; beyond: 503.")] = 32,
    upload_mib: Annotated[float, typer.Option(help="Of one request; beyond: 413.")] = 64.0,
    files: Annotated[int, typer.Option(help="Of one request; beyond: 413.")] = 16,
    rate: Annotated[str, typer.Option(help="Requests with images of one client; beyond: 429.")] = "600/minute",
    explain_queue: Annotated[int, typer.Option(help="Explanations that may wait; beyond: 503.")] = 4,
    explain_seconds: Annotated[float, typer.Option(help="For one explanation; beyond: 503.")] = 30.0,
    *,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each request.")] = False,
) -> None:
    """Answer over HTTP, with a page to read X-rays on; until Ctrl-C. Uploads are stored with --keep alone."""

    def work() -> None:
        from serving.server import BindAddress  # late: `coronet --help` must not wait for torch
        from serving.server import serve as run_service
        from serving.settings import ServingSettings

        settings = ServingSettings(
            batch_images=batch_images,
            batch_wait_ms=batch_wait_ms,
            queue_images=queue_images,
            requests_at_once=requests_at_once,
            upload_mib=upload_mib,
            files=files,
            rate=rate,
            explain_queue=explain_queue,
            explain_seconds=explain_seconds,
            keep=keep,
            hosts=(host, *(allow_host or ())),
            log_requests=not quiet,
        )
        run_service(model, params, device.value, BindAddress(host=host, port=port, proxy=proxy), settings)

    run_command(work, lambda: require_port(host, port), lambda: require_model(model), lambda: require_params(params))
