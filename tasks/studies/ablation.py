"""Ablations: variants of a run compared with the run itself on the same test images."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from coronet_core.common.literals import CinInput
from coronet_core.common.seeds import derive_seed
from coronet_core.metrics.bootstrap import paired_differences
from coronet_core.metrics.scores import figures_of
from coronet_core.support.errors import DataError, ParamsError
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.prediction_table import read_predictions
from tasks.evaluate.tables import ranking_scores
from tasks.runtime.files import nulls_for_nan, read_json
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import METRICS, PREDICTIONS
from tasks.runtime.tracking.stage_run import flattened
from tasks.studies.conclusions import judged

REFERENCE: Final = "coronet"
COMPARED: Final = {"accuracy": "accuracy", "balanced_accuracy": "balanced_accuracy", "roc_auc.macro": "macro_roc_auc"}
"""Compared figures and their names in the table."""


INPUT: Final = "cin.input"
WITH_RESIDUALS: Final[tuple[CinInput, ...]] = ("residual_tensor", "residual_tensor_and_image")
"""What the CIN of a run may read whose parts are left out."""


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A variant with one part of the method removed or replaced."""

    title: str
    changes: Mapping[str, Any]
    """Parameters by dotted key."""


ABLATIONS: Final[dict[str, Ablation]] = {
    "raw_image": Ablation(title="ResNet-18 on the raw image, no autoencoder", changes={INPUT: "image"}),
    "healthy_autoencoder_only": Ablation(title="AE_H alone, eq. (5)", changes={INPUT: "healthy_residual"}),
    "pneumonia_autoencoder_only": Ablation(title="AE_P alone, eq. (6)", changes={INPUT: "pneumonia_residual"}),
    "without_regulariser": Ablation(
        title="without the regulariser of eq. (4)", changes={"autoencoder.regulariser_weight": 0.0}
    ),
    "cin_from_scratch": Ablation(title="CIN not pretrained", changes={"cin.pretrained": "none"}),
    "residual_tensor_alone": Ablation(title="residual tensor without the image", changes={INPUT: "residual_tensor"}),
    "residual_tensor_and_image": Ablation(
        title="residual tensor and image together", changes={INPUT: "residual_tensor_and_image"}
    ),
    "without_added_image": Ablation(
        title="autoencoders without the image before the sigmoid", changes={"autoencoder.adds_image": False}
    ),
    "without_skips": Ablation(title="autoencoders without skip connections", changes={"autoencoder.skip_dropout": 1.0}),
    "skips_that_drop_out": Ablation(
        title="autoencoders with dropout of skip connections", changes={"autoencoder.skip_dropout": 0.5}
    ),
    "bottleneck_alone": Ablation(
        title="autoencoders whose decoder sees only 2 channels at 1/8 of the resolution",
        changes={
            "autoencoder.adds_image": False,
            "autoencoder.skip_dropout": 1.0,
            "autoencoder.latent_channels": 2,
            "autoencoder.finest_stride": 8,
        },
    ),
    "denoising": Ablation(title="denoising autoencoders", changes={"autoencoder.noise": 0.1}),
    "masked": Ablation(title="masked autoencoders", changes={"autoencoder.hidden_fraction": 0.5}),
    "standardised_residuals": Ablation(
        title="residuals standardised over the training split", changes={"residuals.scale": "standardised"}
    ),
    "z_map": Ablation(
        title="residuals divided by those of healthy validation images", changes={"residuals.scale": "z_map"}
    ),
    "ssim": Ablation(title="autoencoders trained with SSIM, too", changes={"autoencoder.ssim_weight": 0.1}),
}


def applicable(params: Params, names: Collection[str]) -> tuple[dict[str, Ablation], dict[str, str]]:
    """Return the ablations among `names` that differ from a run with `params`, and why the others are skipped.

    Without names, all ablations. Raises ParamsError for an unknown name, or if none of the named ones applies.
    """
    if params.cin.input not in WITH_RESIDUALS:
        raise ParamsError(
            f"cin.input = {params.cin.input}: ablations need a run that reads residuals. Set one of "
            f"{', '.join(WITH_RESIDUALS)}."
        )
    if unknown := set(names) - set(ABLATIONS):
        raise ParamsError(f"{min(unknown)}: unknown ablation. Allowed: {', '.join(ABLATIONS)}.")
    given = flattened(asdict(params))
    apply, skipped = {}, {}
    for name, ablation in ABLATIONS.items():
        if names and name not in names:
            skipped[name] = "not selected"
        elif params.autoencoder.pretrained is not None and changes_autoencoders(ablation.changes):
            skipped[name] = "the run's autoencoders are those of autoencoder.pretrained"
        elif all(given[key] == str(value) for key, value in ablation.changes.items()):
            changes = ", ".join(f"{key} = {value}" for key, value in ablation.changes.items())
            skipped[name] = f"the run itself already has {changes}"
        else:
            apply[name] = _without_fusion(ablation, params)
    if names and not apply:
        raise ParamsError("; ".join(f"{name}: {skipped[name]}" for name in names) + ". Nothing to compare.")
    return apply, skipped


def changes_autoencoders(changes: Mapping[str, Any]) -> bool:
    """Whether `changes`, params by dotted key, need autoencoders of their own."""
    return any(key.startswith("autoencoder.") for key in changes)


def _without_fusion(ablation: Ablation, params: Params) -> Ablation:
    """Return the ablation of a run that may read image and residual tensor by a network each.

    What reads one of them alone is read by as many networks: an ensemble is better by itself. Not where each member
    leaves out a fold: twice as many would train on more patients.
    """
    if INPUT not in ablation.changes or params.cin.fusion == "planes":
        return ablation
    networks: dict[str, Any] = {"cin.fusion": "planes"}
    if params.cin.member_images == "all":
        networks["cin.members"] = 2 * params.cin.members
    return replace(ablation, changes={**ablation.changes, **networks})


def ablation_table(
    ablations: Mapping[str, Ablation], folders: Mapping[str, Path], params: Params, skipped: Mapping[str, str]
) -> dict[str, Any]:
    """Return the table of the run in the current folder and of its `ablations`, in `folders` of the same names.

    A difference is the run minus the variant: above zero the run is better. Its interval comes from a paired bootstrap
    over patient groups and does not include the variation between training seeds.
    """
    ours = read_predictions(PREDICTIONS)
    variants: dict[str, Any] = {REFERENCE: {"title": "CoroNet, this run", "changes": {}, **_figures(Path())}}
    for name, folder in folders.items():
        theirs = read_predictions(folder / PREDICTIONS)
        if theirs.images["image_id"].tolist() != ours.images["image_id"].tolist():
            raise DataError(f"{name}: its test images differ from those of the run. Delete {folder} and try again.")
        described = {"title": ablations[name].title, "changes": dict(ablations[name].changes)}
        variants[name] = {**described, **_figures(folder), "differences": _differences(ours, theirs, params)}
    return {
        "reference": REFERENCE,
        "images": len(ours.images),
        "patients": int(ours.images["patient_id"].nunique()),
        "confidence": params.evaluate.confidence,
        "variants": variants,
        "skipped": dict(skipped),
        "conclusions": [
            f"{one['title']}: " + judged("CoroNet's", one["differences"])
            for name, one in variants.items()
            if name != REFERENCE
        ],
    }


def _figures(folder: Path) -> dict[str, Any]:
    metrics = read_json(folder / METRICS)
    names = ("accuracy", "accuracy_interval", "balanced_accuracy", "sensitivity", "specificity")
    figures = {name: metrics[name] for name in names}
    return figures | {"macro_roc_auc": metrics["roc_auc"]["macro"], "own_class_margin": metrics["own_class_margin"]}


def _differences(ours: SplitPredictions, theirs: SplitPredictions, params: Params) -> dict[str, Any]:
    first, second = (
        figures_of(one.truth, one.predicted, ranking_scores(one, params.evaluate)) for one in (ours, theirs)
    )
    found = paired_differences(
        first,
        second,
        ours.groups,
        params.evaluate.bootstrap_replicates,
        derive_seed(params.seed, "ablation"),
        params.evaluate.confidence,
    )
    differences: dict[str, Any] = nulls_for_nan({name: asdict(found[figure]) for figure, name in COMPARED.items()})
    return differences
