"""The flow `ablate`: the run without each part of the method, in one table."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError
from coronet_core.support.plurals import counted
from flows.monitoring.final_states import failed
from flows.monitoring.webhook import AT_ITS_END
from flows.pipeline.variants import Study, Variant, run_variants
from tasks.report.study_pages import render_ablations
from tasks.runtime.files import write_json
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import ABLATIONS_PAGE, ABLATIONS_TABLE
from tasks.runtime.tracking.stage_run import StageRun
from tasks.studies.ablation import ablation_table, applicable, changes_autoencoders

STUDY = "ablation"
LAST_STAGE = "evaluate"


@flow(name="ablate", flow_run_name=STUDY, **AT_ITS_END)
def ablate(only: list[str] | None = None, parallel: int | None = None) -> State[None]:
    """Run the ablations that apply, and compare them with the run, which must be up to date.

    Args:
        only: Names of the ablations to run, such as raw_image; by default all that apply.
        parallel: Ablations in parallel; by default as many as fit on the GPUs, or one.
    """
    params = read_params()
    try:
        ablations, skipped = applicable(params, only or [])
        variants = [
            Variant(
                name=name,
                changes=ablation.changes,
                trains_autoencoders=changes_autoencoders(ablation.changes),
            )
            for name, ablation in ablations.items()
        ]
        with StageRun(STUDY, params) as run:
            run.deliver()  # now, so that the variants find their parent
            study = Study(name=STUDY, record=run.key, last_stage=LAST_STAGE, with_results=True)
            table = ablation_table(ablations, run_variants(study, variants, parallel), params, skipped)
            write_json(ABLATIONS_TABLE, table)
            render_ablations(table, ABLATIONS_PAGE)
            for path in (ABLATIONS_TABLE, ABLATIONS_PAGE):
                run.artifact(path)
            for name, figures in table["variants"].items():
                run.metrics({f"accuracy.{name}": figures["accuracy"]})
    except CoroNetError as error:
        return failed(error)
    return Completed(message=counted(len(variants), "ablation"))
