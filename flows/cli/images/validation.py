"""The command `coronet validate`: a trained model on a labelled folder from elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.images.predict import Model
from flows.project.preconditions import require_model, run_command


def validate(
    folder: Annotated[Path, typer.Argument(help="Class folders of X-rays, or a folder with a table of labels.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="Table with the columns file and label. Default: labels.csv in the folder, if it is there."),
    ] = None,
    model: Model = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for page, JSON and tables. Default: reports/validation/FOLDER.")
    ] = None,
    patient_id_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Pattern whose first group is the patient id in a file's name or path. Default: ids of the table or "
            "of DICOM headers.",
        ),
    ] = None,
) -> None:
    """Evaluate a model on labelled images from elsewhere. Images of its training patients are left out.

    Exit code 0: all images were readable; 3: some were not; 1: an error stopped the command.
    """

    def require_folder() -> None:
        from tasks.external_validation.labelled_folder import LabelledFolder  # late: as `--help` must not wait for it

        LabelledFolder.of(folder, labels, patient_id_pattern)

    def work() -> int:
        from flows.cli.images.show_validation import validate_and_show

        return validate_and_show(folder, labels, model, out, patient_id_pattern)

    run_command(work, require_folder, lambda: require_model(model))
