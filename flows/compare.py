"""The flow `compare`: recipes on the same folds of patients with the same seeds, and which of them is better."""

from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from coronet_core.common.classes import FoldUnit
from coronet_core.support.errors import CoroNetError
from coronet_core.support.plurals import counted
from flows.monitoring.final_states import failed
from flows.monitoring.run_names import called
from flows.monitoring.webhook import AT_ITS_END
from flows.pipeline.variants import Study, Variant, run_variants
from tasks.report.study_pages import render_comparison
from tasks.runtime.files import write_json
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import comparison_page, comparison_table_file
from tasks.runtime.tracking.stage_run import StageRun, numbers_of
from tasks.studies.ablation import changes_autoencoders
from tasks.studies.comparison import comparison_table
from tasks.studies.comparison_file import EXAMPLE, REPETITION, Comparison, params_of, read_comparison

LAST_STAGE = "evaluate"


@flow(name="compare", flow_run_name=called("comparison-{candidates.stem}-{folds}-{unit}"), **AT_ITS_END)
def compare(
    candidates: Path = EXAMPLE,
    folds: Annotated[int, Field(ge=2, le=100)] = 5,
    seeds: Annotated[int, Field(ge=1, le=100)] = 3,
    unit: FoldUnit = "patients",
    parallel: Annotated[int, Field(ge=1)] | None = None,
) -> State[None]:
    """Train and test every candidate on the same folds with the same seeds. Stages that are up to date do not rerun.

    Args:
        candidates: The YAML file that names the candidates and what each changes in params.yaml.
        folds: Each image is tested in one of them.
        seeds: Training seeds per candidate and fold.
        unit: What each fold keeps together: patients; images only to compare with results that split by image.
        parallel: Trainings in parallel; by default as many as fit on the GPUs, or one.
    """
    try:
        params, comparison = read_params(), read_comparison(candidates)
        name = f"comparison-{candidates.stem}-{folds}-{unit}"
        variants = variants_of(comparison, params, folds, seeds, unit)
        with StageRun(name, params) as run:
            run.deliver()  # now, so that the variants find their parent
            study = Study(name=name, record=run.key, last_stage=LAST_STAGE, with_results=False)
            made = run_variants(study, variants, parallel)
            folders = {
                candidate: [
                    [made[variant_name(candidate, fold, seed)] for fold in range(1, folds + 1)] for seed in range(seeds)
                ]
                for candidate in comparison.candidates
            }
            table = comparison_table(folders, comparison, params_of(comparison), unit)
            write_json(comparison_table_file(unit), table)
            render_comparison(table, comparison_page(unit))
            for path in (comparison_table_file(unit), comparison_page(unit)):
                run.artifact(path)
            for candidate, found in table["candidates"].items():
                run.metrics(numbers_of({candidate: {"test": found["mean"], "validation": found["validation"]["mean"]}}))
    except CoroNetError as error:
        return failed(error)
    return Completed(
        message=f"{counted(len(comparison.candidates), 'candidate')}, {counted(len(variants), 'training')}"
    )


def variants_of(comparison: Comparison, params: Params, folds: int, seeds: int, unit: FoldUnit) -> list[Variant]:
    """Return a variant for each candidate, fold and seed.

    The first training of the reference in a fold makes its split, autoencoders and residual tensors. Other candidates
    begin with these, and the further trainings of a candidate with what its first one has made.
    """
    rule = {"by": "folds", "folds": folds, "unit": unit, "validation_fraction": params.data.split.validation_fraction}
    reference = comparison.reference
    return [
        Variant(
            name=variant_name(candidate, fold, seed),
            changes={**found.changes, "data.split": rule | {"fold": fold}, REPETITION: seed},
            begins_with=_origin(candidate, fold, seed, reference),
            trains_autoencoders=seed == 0 and (candidate == reference or changes_autoencoders(found.changes)),
        )
        for seed in range(seeds)
        for candidate, found in comparison.candidates.items()
        for fold in range(1, folds + 1)
    ]


def _origin(candidate: str, fold: int, seed: int, reference: str) -> str | None:
    if seed:
        return variant_name(candidate, fold, 0)
    return None if candidate == reference else variant_name(reference, fold, 0)


def variant_name(candidate: str, fold: int, seed: int) -> str:
    """Return the name of a candidate's training in one fold with one seed."""
    return f"{candidate}-fold-{fold}-seed-{seed}"
