"""The command `coronet export`."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.images.predict import Model
from flows.project.preconditions import require_model, run_command
from tasks.export.export_options import ExportOrder, Number, Pixels, Target


def export(
    out: Annotated[
        Path,
        typer.Option(
            help="File to write (.onnx or .pt2). How far its predictions deviate is written beside it as JSON."
        ),
    ],
    target: Annotated[
        Target, typer.Option("--to", help="Kind of file: onnx writes .onnx, torch writes .pt2 (torch.export).")
    ] = Target.ONNX,
    precision: Annotated[Number, typer.Option(help="Number format of the networks.")] = Number.FP32,
    pixels: Annotated[
        Pixels,
        typer.Option("--input", help="Grey levels that the file takes: uint8 as stored, or float32 divided by 255."),
    ] = Pixels.FLOAT32,
    model: Model = None,
) -> None:
    """Export the whole network, from image to prediction, as one file for other programs and small devices."""
    order = ExportOrder(target=target, number=precision, pixels=pixels, out=out)

    def work() -> None:
        from tasks.export.export_model import export as export_model  # late: `coronet --help` must not wait for torch
        from tasks.export.export_model import summary_lines

        print("\n".join(summary_lines(export_model(model, order))))

    run_command(work, order.check, lambda: require_model(model))
