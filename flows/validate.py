"""The flow `validate`: a trained model on a labelled folder from elsewhere, with the full evaluation."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError
from coronet_core.support.plurals import counted
from flows.monitoring.final_states import failed
from flows.monitoring.run_names import called
from flows.monitoring.stale_runs import alone_as_run
from flows.monitoring.webhook import AT_ITS_END
from tasks.evaluate.all_figures import logged_figures
from tasks.external_validation.labelled_folder import LabelledFolder
from tasks.external_validation.result_folder import PAGE, SUMMARY, require_result_folder, write_results
from tasks.external_validation.tested_model import TestedModel
from tasks.external_validation.validation import Validation
from tasks.runtime.code_digest import code_digest, files_needed_by
from tasks.runtime.files import digest
from tasks.runtime.params.schema import EvaluateParams
from tasks.runtime.paths import STATE, validation_folder
from tasks.runtime.resume import discard
from tasks.runtime.tracking.stage_run import StageRun, numbers_of

NAME: Final = "validation"
"""Of the MLflow run and of the folder of its artifacts."""
READING_MODULE: Final = "tasks.external_validation.labelled_images"
"""Images that a killed run has read are taken unless its code has changed."""
DIGITS: Final = 16


@flow(name="validate", flow_run_name=called("validation on {folder}"), **AT_ITS_END)
def validate(
    folder: str,
    labels: str | None = None,
    model: str | None = None,
    out: str | None = None,
    patient_id_pattern: str | None = None,
) -> State[None]:
    """Evaluate a model on labelled images from elsewhere, and compare with its own test split.

    Args:
        folder: Class folders of DICOM, PNG or JPEG files, or a folder with a table of labels.
        labels: The table: columns file, label and, if known, patient_id, view, sex, age, source. By default the
            labels.csv of the folder, if it is there.
        model: A package folder or a registered version; by default the project's last run.
        out: The folder for page, JSON and tables; by default reports/validation/<folder>.
        patient_id_pattern: Regular expression whose first group is the patient in a file's name or path.
    """
    try:
        listed = LabelledFolder.of(Path(folder), None if labels is None else Path(labels), patient_id_pattern)
        target = validation_folder(listed.name) if out is None else Path(out)
        require_result_folder(target)
        kept = STATE / NAME / digest(str(target.absolute()))[:DIGITS]
        with alone_as_run(kept.with_suffix(".lock"), f"the validation into {target}"):
            work = kept / code_digest(files_needed_by(READING_MODULE))[:DIGITS]
            counts = _validate(listed, TestedModel.of(model), target, work)
            discard(kept)
    except CoroNetError as error:
        return failed(error)
    return Completed(message=f"{counts['evaluated']} of {counted(counts['listed'], 'image')} evaluated")


def _validate(listed: LabelledFolder, tested: TestedModel, target: Path, work: Path) -> dict[str, Any]:
    """Validate, write the folder `target`, and tell MLflow; returns the counts of images."""
    work.mkdir(mode=0o700, parents=True, exist_ok=True)  # the pixels of patients
    params = {
        "folder": listed.name,
        "model": tested.name,
        "evaluate": asdict(tested.section("evaluate", EvaluateParams)),
    }
    made_by = None if tested.version is None else tested.version.run_id
    with StageRun(NAME, params, parent_run_id=made_by, shown_as=f"{NAME} {listed.name}") as run:
        run.tags({"model.digest": tested.model.digest})
        validation = Validation.of(listed, tested, work)
        write_results(validation, target)
        summary = validation.summary
        run.metrics(logged_figures(summary["metrics"]))
        run.metrics(numbers_of({"left_out": {"training_images_and_patients": summary["overlap"]["left_out"]}}))
        run.metrics(numbers_of({"difference": {name: one["difference"] for name, one in summary["figures"].items()}}))
        for name in (PAGE, SUMMARY):
            run.artifact(target / name, Path(NAME, name))
    counts: dict[str, Any] = summary["images"]
    return counts
