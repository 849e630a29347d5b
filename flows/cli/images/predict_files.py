"""What `coronet predict` and `coronet explain` do with files."""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from coronet_core.support.errors import ParamsError
from coronet_core.support.plurals import by_reason
from flows.cli.images.dicom_files import DicomOrder
from flows.project.run_lock import alone
from tasks.inference.attribution import MapSettings
from tasks.inference.batch import Batch, inference_device, predict_here
from tasks.inference.input.storage import find_files
from tasks.inference.model_source import load_model
from tasks.inference.output.formats import format_of, print_predictions, print_rows, write_file
from tasks.inference.output.resumable_dataset import read_parts, read_summary
from tasks.inference.overlays import Overlays
from tasks.inference.prediction_log import PredictionLog
from tasks.inference.prediction_options import Format
from tasks.inference.predictor import Networks
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import digest
from tasks.runtime.params.explain import MethodName
from tasks.runtime.paths import STATE
from tasks.runtime.resume import discard
from tasks.runtime.safe_text.terminal import printable

SOME_FAILED: Final = 3
"""Exit code: some files failed, and the others have a prediction."""
FEW_FILES: Final = 100
"""So many need no server, no resuming, and fit on a terminal."""
DEFAULT_FOLDER: Final = Path("predictions.parquet")


def exit_code_for(n_failed: int, n_files: int) -> int:
    """Return the exit code: 0 if no file failed, SOME_FAILED if some did, 1 if all did."""
    if n_failed == 0:
        return 0
    return 1 if n_failed == n_files else SOME_FAILED


@dataclass(frozen=True, kw_only=True)
class PredictionOrder:
    """What the command line asks for."""

    paths: list[str]
    model: str | None
    form: Format | None
    out: Path | None
    log: Path | None
    shard_files: int
    ray: str | None
    dicom: DicomOrder | None = None


def predict(order: PredictionOrder) -> int:
    """Predict files, write or print the predictions, and return the exit code. Raises CoroNetError on failure.

    The code is that of `exit_code_for`.
    """
    files, _ = find_files(order.paths)
    n_files = len(files)
    results = None if order.dicom is None else order.dicom.open(order.model)
    are_few = n_files <= FEW_FILES and order.ray is None
    form = _form(order, n_files)
    with _folder_of_parts(order, form, are_few=are_few) as folder:
        if are_few:
            with alone(folder.with_name(f".{folder.name}.lock"), f"the prediction into {folder}"):
                batch = Batch.of(order.paths, folder, order.model, order.shard_files)
                predict_here(batch, None if order.log is None else PredictionLog(order.log))
                summary = batch.dataset.finish()
        else:
            _run_flow(order, folder)
            summary = read_summary(folder)
        place = _deliver(folder, form, order.out)
        written = None if results is None else results.write(files, read_parts(folder), summary["model"])
    code = _print_summary(summary, place)
    if results is None or written is None:
        return code
    results.print_summary(written, sys.stderr if place is None else sys.stdout)
    return SOME_FAILED if written.refused and code == 0 else code


def _form(order: PredictionOrder, n_files: int) -> Format:
    """Return the format: as asked for, as the name of --out says, or a table of few files and Parquet of many."""
    if order.form is Format.TABLE and (order.out is not None or n_files > FEW_FILES):
        raise ParamsError(
            f"--format table: for a terminal and at most {FEW_FILES} files ({n_files} here). Give --format csv, jsonl "
            "or parquet."
        )
    if order.form is not None:
        return order.form
    if order.out is not None:
        return format_of(order.out)
    return Format.TABLE if n_files <= FEW_FILES else Format.PARQUET


@contextmanager
def _folder_of_parts(order: PredictionOrder, form: Format, *, are_few: bool) -> Iterator[Path]:
    """Offer the folder of Parquet files that predictions become first, whatever they become then.

    What is not the result goes when it has become it; what a kill leaves of many files is gone on with.
    """
    if form is Format.PARQUET:
        yield order.out or DEFAULT_FOLDER
    elif are_few:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary) / "predictions"
    else:
        kept = STATE / "predictions" / digest(order.paths, order.out)[:16]
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # rows name files, and files may name patients
        yield kept
        discard(kept)


def _run_flow(order: PredictionOrder, folder: Path) -> None:
    from flows.pipeline.run import run_to_end
    from flows.predict_batch import predict_batch  # late: few files need neither Prefect nor DVC

    log = None if order.log is None else str(order.log)
    run_to_end(
        lambda: predict_batch(
            order.paths, str(folder), order.model, order.shard_files, order.ray, log, return_state=True
        )
    )


def _deliver(folder: Path, form: Format, out: Path | None) -> Path | None:
    """Give finished predictions as they are wanted; returns where they lie, None if on standard output."""
    match form, out:
        case Format.PARQUET, _:
            return folder
        case Format.TABLE, _:
            print_predictions(read_parts(folder))
        case _, None:
            print_rows(form, read_parts(folder))
        case _, Path():
            write_file(out, form, read_parts(folder))
    return out


def _print_summary(summary: dict[str, Any], place: Path | None) -> int:
    """Print a summary, on standard error if predictions go to standard output; returns the exit code."""
    errors: Counter[str] = Counter(summary["errors"])
    counts = (
        f"files: {summary['files']}, predicted: {summary['predicted']} (need a human reader: {summary['abstained']}, "
        f"out of distribution: {summary['out_of_distribution']})"
    )
    lines = [counts, *_failed_and_skipped(errors, summary["passed_over"])]
    if place is not None:
        lines.append(f"Predictions: {place.resolve()}")
    print("\n".join(lines), file=sys.stderr if place is None else sys.stdout)
    return exit_code_for(errors.total(), summary["files"])


def explain(paths: list[str], out: Path, method: MethodName, source: str | None, params_file: Path | None) -> int:
    """Draw maps of files into `out`, print a summary, and return the exit code (`exit_code_for`).

    Raises CoroNetError when it cannot be done.
    """
    files, passed_over = find_files(paths)
    model = load_model(source)
    settings = MapSettings.of(params_file, source, model.image_size_px)
    use_cpu_threads(share=1)
    networks = Networks.of(model, torch.device(inference_device()))
    with alone(out.with_name(f".{out.name}.lock"), f"the explanation into {out}"):
        rows = Overlays(networks=networks, method=method, settings=settings, folder=out).draw(files)
    errors = Counter(row["error"] for row in rows if "error" in row)
    counts = f"files: {len(files)}, maps by {method}: {len(files) - errors.total()}"
    print("\n".join([counts, *_failed_and_skipped(errors, passed_over), f"Maps: {out.resolve()}"]))
    return exit_code_for(errors.total(), len(files))


def _failed_and_skipped(errors: Counter[str], skipped: Mapping[str, int]) -> list[str]:
    failed = [f"failed: {printable(reason)} ({n})" for reason, n in errors.items()]
    return [*failed, f"skipped: {by_reason(skipped)}"] if skipped else failed
