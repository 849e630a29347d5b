"""A comparison of recipes on the same folds and seeds: the table, and what it says in words."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from coronet_core.common.classes import FoldUnit
from coronet_core.common.seeds import derive_seed
from tasks.runtime.files import nulls_for_nan
from tasks.runtime.params.schema import Params
from tasks.studies.candidate_figures import Replicates, Tested, Workspaces, different_images, validation_figures
from tasks.studies.comparison_file import Comparison, Figure
from tasks.studies.conclusions import capitalised, judged
from tasks.studies.cross_validation import leaks
from tasks.studies.residual_question import residual_answers

NAMES: Final[dict[Figure, str]] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_roc_auc": "macro ROC-AUC",
}


def comparison_table(
    folders: Mapping[str, Workspaces], comparison: Comparison, params: Mapping[str, Params], unit: FoldUnit
) -> dict[str, Any]:
    """Return the table of the candidates in `folders`, which have these `params`.

    A difference is the candidate minus the reference: above zero the candidate is better. Intervals come from a
    bootstrap over patient groups and seeds (coronet_core/metrics/repeats.py), paired by image and by seed. They include
    which patients are tested and how the trainings of the classifier went; neither the choice of the folds, nor the
    trainings of the autoencoders, of which there is one pair a fold.
    """
    reference = comparison.reference
    common = params[reference]
    tested = {name: Tested.read(of_seeds, common.evaluate) for name, of_seeds in folders.items()}
    images = tested[reference].images
    for name, one in tested.items():
        if one.images["image_id"].tolist() != images["image_id"].tolist():
            raise different_images(folders[name][0])
    replicates = Replicates.of(tested, common.evaluate, derive_seed(common.seed, "comparison"))
    candidates = {
        name: {
            "title": candidate.title,
            "changes": candidate.changes,
            **replicates.figures(name),
            **tested[name].by_class(),
            "validation": validation_figures(folders[name]),
            **({} if name == reference else {"differences": replicates.differences(name, reference)}),
        }
        for name, candidate in comparison.candidates.items()
    }
    titles = {name: candidate.title for name, candidate in comparison.candidates.items()}
    table: dict[str, Any] = nulls_for_nan(
        {
            "reference": reference,
            "chosen_by": comparison.chosen_by,
            "chosen": _chosen(candidates, comparison.chosen_by),
            "folds": len(folders[reference][0]),
            "seeds": len(folders[reference]),
            "unit": unit,
            "images": len(images),
            "patients": int(images["patient_id"].nunique()),
            "image_size_px": common.data.image_size_px,
            "confidence": common.evaluate.confidence,
            "candidates": candidates,
            "residual": residual_answers(params, titles, replicates),
            "published": [asdict(one) for one in comparison.published],
            **leaks(folders[reference][0]),
        }
    )
    return table | {"choice": _choice(table), "conclusions": _conclusions(table)}


def _chosen(candidates: Mapping[str, Any], figure: Figure) -> str | None:
    """Return the candidate with the best figure on the validation folds; None if it is undefined for one of them."""
    values = {name: one["validation"]["mean"][figure] for name, one in candidates.items()}
    return None if any(map(math.isnan, values.values())) else max(values, key=lambda name: values[name])


def _choice(table: Mapping[str, Any]) -> str:
    figure: Figure = table["chosen_by"]
    if table["chosen"] is None:
        return f"The validation folds choose no candidate: {NAMES[figure]} is undefined there. Add images."
    chosen = table["candidates"][table["chosen"]]
    accuracy, area = (chosen["mean"][name] for name in ("accuracy", "macro_roc_auc"))
    on_test = f"accuracy {100 * accuracy:.1f}%" + ("" if area is None else f", macro ROC-AUC {area:.3f}")
    return (
        f"By {NAMES[figure]} the validation folds choose {chosen['title']} "
        f"({chosen['validation']['mean'][figure]:.3f}). On the test folds it has {on_test}."
    )


def _conclusions(table: Mapping[str, Any]) -> list[str]:
    """Return a sentence on each candidate but the reference."""
    candidates = table["candidates"]
    reference = candidates[table["reference"]]["title"]
    return [
        f"{capitalised(one['title'])}, compared with {reference}: {judged('its', one['differences'])}"
        for one in candidates.values()
        if "differences" in one
    ]
