"""The commands that answer with a trained model: `coronet predict`, `coronet explain`, `coronet drift`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.project.preconditions import (
    require_files,
    require_model,
    require_params,
    require_prefect_server,
    require_ray,
    run_command,
)
from tasks.inference.prediction_options import Format, Method

if TYPE_CHECKING:
    from tasks.drift.drift_check import Rule
    from tasks.drift.prediction_window import Span
    from tasks.runtime.params.explain import MethodName

RAY_CLUSTER = "`local` starts a cluster here, `auto` joins this machine's, `ray://host:10001` another one."
RAY_HELP = f"Predict shards on a Ray cluster: {RAY_CLUSTER} Default: on this machine."

Paths = Annotated[
    list[str], typer.Argument(help="X-rays: files, folders, patterns such as scans/**/*.dcm, or s3://bucket/key URLs.")
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="Package folder, models:/coronet@champion or models:/coronet/3. Default: the last run here.",
    ),
]
LogFolder = Annotated[
    Path | None,
    typer.Option(help="Folder to log hashes and scores to, for `coronet drift`. Default: nothing is logged."),
]


def predict(
    paths: Paths,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Format. Default: taken from --out; without --out a table, or Parquet for more than 100 files.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File (.csv, .jsonl) or folder (.parquet) to write. Default: standard output, or predictions.parquet."
        ),
    ] = None,
    model: Model = None,
    log: LogFolder = None,
    shard_files: Annotated[
        int, typer.Option(min=1, max=10_000, help="Files per shard. An interruption loses one shard at most.")
    ] = 64,
    ray: Annotated[str | None, typer.Option(metavar="ADDRESS", help=RAY_HELP)] = None,
    dicom_out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for DICOM structured reports, one per DICOM file; they name the patient as the file does. "
            "Default: none."
        ),
    ] = None,
    dicom_map: Annotated[
        Method | None,
        typer.Option(
            help="Attribution method: --dicom-out also gets the map of each DICOM file over its image. Default: none."
        ),
    ] = None,
) -> None:
    """Classify X-ray files with a trained model. Unreadable files are reported; the rest are processed.

    Exit code 0: every file has a prediction; 3: some files failed; 1: all failed, or an error stopped the command.

    A DICOM file for which --dicom-out cannot write a report counts as failed; other files get none.
    """

    def require_format() -> None:
        from tasks.inference.output.formats import format_of

        if out is not None and form is None:
            format_of(out)

    def require_dicom() -> None:
        from flows.cli.images.dicom_files import DicomOrder

        DicomOrder.of(dicom_out, dicom_map, paths)

    def work() -> int:
        from flows.cli.images.dicom_files import DicomOrder
        from flows.cli.images.predict_files import PredictionOrder  # late: `coronet --help` must not wait for pandas
        from flows.cli.images.predict_files import predict as predict_paths

        return predict_paths(
            PredictionOrder(
                paths=paths,
                model=model,
                form=form,
                out=out,
                log=log,
                shard_files=shard_files,
                ray=ray,
                dicom=DicomOrder.of(dicom_out, dicom_map, paths),
            )
        )

    of_ray = () if ray is None else (require_ray,)
    run_command(
        work, lambda: require_files(paths), require_format, require_dicom, lambda: require_model(model), *of_ray
    )


def explain(
    paths: Paths,
    out: Annotated[Path, typer.Option(help="Folder for overlays, maps and their index.")] = Path("explanations"),
    method: Annotated[Method, typer.Option(help="Attribution method.")] = Method.PERTURBATION,
    model: Model = None,
    params: Annotated[
        Path | None,
        typer.Option(help="Parameter file with the section `explain`. Default: the model's own, or params.yaml."),
    ] = None,
) -> None:
    """Draw attribution maps of X-ray files for their most probable class. An interrupted run resumes.

    Exit code 0: every file has a map; 3: some files failed; 1: all failed, or an error stopped the command.
    """
    name: MethodName = method.value

    def work() -> int:
        from flows.cli.images.predict_files import explain as explain_paths

        return explain_paths(paths, out, name, model, params)

    of_params = () if params is None else (lambda: require_params(params),)
    run_command(work, lambda: require_files(paths), lambda: require_model(model), *of_params)


def drift(
    log: Annotated[Path, typer.Option(help="Folder with logged predictions.")],
    since: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="First day or time (UTC), such as 2026-01-31. Default: the first logged."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DAY", help="Last day or time (UTC). Default: the last logged.")
    ] = None,
    model: Model = None,
    level: Annotated[
        float, typer.Option(help="Largest accepted probability of a false alarm, above 0 and below 1.")
    ] = 0.01,
    min_psi: Annotated[
        float, typer.Option(help="Smallest population stability index (PSI) that counts as drift.")
    ] = 0.1,
    min_images: Annotated[int, typer.Option(help="Minimum number of images for a check.")] = 50,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain",
            help="If there is drift, start the deployment `retrain`, once per model (needs PREFECT_API_URL).",
        ),
    ] = False,
) -> None:
    """Check logged predictions for drift from the model's validation images.

    Exit code 0: no drift; 3: drift; 1: it could not be determined.
    """

    def span() -> "Span":
        from tasks.drift.prediction_window import Span  # late: `coronet --help` must not wait for pandas

        return Span.from_text(since, until)

    def rule() -> "Rule":
        from tasks.drift.drift_check import Rule

        return Rule(level=level, min_psi=min_psi, min_images=min_images)

    def require_log() -> None:
        from tasks.drift.prediction_window import logged_days

        logged_days(log)

    def work() -> int:
        from flows.cli.images.drift import DriftOrder
        from flows.cli.images.drift import drift as compare

        return compare(DriftOrder(log=log, span=span(), model=model, rule=rule(), as_json=as_json, retrain=retrain))

    of_retrain = (require_prefect_server,) if retrain else ()
    run_command(work, span, rule, require_log, lambda: require_model(model), *of_retrain)
