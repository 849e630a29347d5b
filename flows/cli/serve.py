"""The command `coronet serve`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from flows.cli.images.predict import Model
from flows.project.preconditions import require_model, require_params, require_port, run_command

EXPOSED: Final = "warning: {host}: other machines can connect, without encryption. Put a proxy with TLS in front."


class Device(StrEnum):
    """Where the networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def serve(
    model: Model = None,
    challenger: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="Second model to compare with, such as models:/coronet@challenger. Default: none."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but 127.0.0.1 and localhost lets other machines connect.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    params: Annotated[
        Path | None,
        typer.Option(help="Parameter file with the section `explain`. Default: the model's own, or params.yaml."),
    ] = None,
    device: Annotated[
        Device, typer.Option(help="Where the networks run. auto: on a GPU if there is one.")
    ] = Device.AUTO,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Host name to accept besides localhost and --host; repeatable. Default: none."
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with API keys, one per line. Default: the variable CORONET_API_KEYS."),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address of a trusted proxy that sets X-Forwarded-For. Default: none."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder to store uploaded images in, named by their hashes. Default: nothing is stored.",
        ),
    ] = None,
    verdicts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV to append readers' verdicts to. Default: the page offers a download."),
    ] = None,
    batch_images: Annotated[int, typer.Option(help="Maximum images in a batch; memory grows with it.")] = 4,
    batch_wait_ms: Annotated[float, typer.Option(help="Maximum wait to fill a batch, in milliseconds.")] = 4.0,
    queue_images: Annotated[int, typer.Option(help="Maximum images that wait; beyond it, status 503.")] = 64,
    requests_at_once: Annotated[int, typer.Option(help="Maximum requests with images at a time; beyond it, 503.")] = 32,
    upload_mib: Annotated[float, typer.Option(help="Maximum size of a request, in MiB; beyond it, status 413.")] = 64.0,
    decode_megapixels: Annotated[
        float, typer.Option(help="Maximum megapixels being decoded or waiting; beyond it, status 503.")
    ] = 320.0,
    decode_seconds: Annotated[
        float,
        typer.Option(help="Maximum CPU time to decode one image, in seconds; beyond it, the image is refused."),
    ] = 20.0,
    files: Annotated[int, typer.Option(help="Maximum files per request; beyond it, status 413.")] = 16,
    rate: Annotated[
        str, typer.Option(help="Maximum requests with images per client; beyond it, status 429.")
    ] = "600/minute",
    connections: Annotated[int, typer.Option(help="Maximum open connections.")] = 1000,
    connections_per_client: Annotated[int, typer.Option(help="Maximum open connections per client.")] = 128,
    explain_queue: Annotated[int, typer.Option(help="Maximum explanations that wait; beyond it, status 503.")] = 4,
    explain_seconds: Annotated[
        float, typer.Option(help="Maximum time for one explanation, in seconds; beyond it, 503.")
    ] = 30.0,
    *,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Let other machines connect without an API key.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not log requests.")] = False,
) -> None:
    """Serve predictions over HTTP, with a reading page, until Ctrl-C. Uploads are not stored unless --keep is given."""

    def work() -> None:
        from serving.guards.api_keys import is_loopback, read_keys
        from serving.server import BindAddress  # late: `coronet --help` must not wait for torch
        from serving.server import serve as run_service
        from serving.settings import ServingSettings

        settings = ServingSettings(
            batch_images=batch_images,
            batch_wait_ms=batch_wait_ms,
            queue_images=queue_images,
            requests_at_once=requests_at_once,
            upload_mib=upload_mib,
            decode_megapixels=decode_megapixels,
            decode_seconds=decode_seconds,
            files=files,
            rate=rate,
            connections=connections,
            connections_per_client=connections_per_client,
            explain_queue=explain_queue,
            explain_seconds=explain_seconds,
            keep=keep,
            verdicts=verdicts,
            hosts=(host, *(allow_host or ())),
            keys=read_keys(keys),
            log_requests=not quiet,
        )
        if not is_loopback(host):
            print(EXPOSED.format(host=host), file=sys.stderr)
        place = BindAddress(host=host, port=port, proxy=proxy)
        run_service(model, params, device.value, place, settings, challenger=challenger)

    def require_access() -> None:
        from serving.guards.api_keys import read_keys, require_keys

        require_keys(host, read_keys(keys), is_open_to_all=without_keys)

    run_command(
        work,
        require_access,
        lambda: require_port(host, port),
        lambda: None if challenger is None else require_model(challenger, "challenger"),
        lambda: require_model(model),
        lambda: None if params is None else require_params(params),
    )
