"""The flow `cross-validate`: the whole DAG once for each fold, and one summary."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.common.classes import FoldUnit
from coronet_core.support.errors import CoroNetError
from coronet_core.support.plurals import counted
from flows.monitoring.final_states import failed
from flows.monitoring.run_names import called
from flows.monitoring.webhook import AT_ITS_END
from flows.pipeline.variants import Study, Variant, run_variants
from tasks.report.study_pages import render_cross_validation
from tasks.runtime.files import write_json
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import cross_validation_page, cross_validation_summary
from tasks.runtime.tracking.stage_run import StageRun, numbers_of
from tasks.studies.cross_validation import summarise

STUDY = "cross-validation"


@flow(name="cross-validate", flow_run_name=called("cross-validation-{folds}-{unit}"), **AT_ITS_END)
def cross_validate(
    folds: int = 5, unit: FoldUnit = "patients", last_stage: str = "report", parallel: int | None = None
) -> State[None]:
    """Train and test on each fold, and pool the results. Stages that are up to date do not rerun.

    Args:
        folds: Each image is tested in one of them.
        unit: What each fold keeps together: patients; images only to compare with results that split by image.
        last_stage: Last stage of each fold: evaluate for the figures only, report for a report of each fold.
        parallel: Folds in parallel; by default as many as fit on the GPUs, or one.
    """
    params = read_params()
    rule = {"by": "folds", "folds": folds, "unit": unit, "validation_fraction": params.data.split.validation_fraction}
    variants = [
        Variant(name=f"fold-{fold}", changes={"data.split": rule | {"fold": fold}}) for fold in range(1, folds + 1)
    ]
    name = f"{STUDY}-{folds}-{unit}"
    summary, page = cross_validation_summary(unit), cross_validation_page(unit)
    try:
        with StageRun(name, params) as run:
            run.deliver()  # now, so that the folds find their parent
            study = Study(name=name, record=run.key, last_stage=last_stage, with_results=False)
            folders = run_variants(study, variants, parallel)
            found = summarise([folders[variant.name] for variant in variants], unit, params)
            write_json(summary, found)
            render_cross_validation(found, page)
            run.metrics(numbers_of({key: found[key] for key in ("mean", "sd", "pooled")}))
            for path in (summary, page):
                run.artifact(path)
    except CoroNetError as error:
        return failed(error)
    return Completed(message=counted(folds, "fold"))
