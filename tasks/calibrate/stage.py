"""Stage `calibrate`: fits temperature, prediction sets and thresholds on the validation split."""

import math
from dataclasses import asdict, replace

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES, ClassName
from coronet_core.common.seeds import derive_seed
from coronet_core.metrics.auc import threshold_for
from coronet_core.metrics.bootstrap import estimate
from coronet_core.metrics.calibration import calibration_errors, fit_temperature, is_at_the_end
from coronet_core.metrics.conformal import conformal_quantile
from coronet_core.metrics.out_of_distribution import EnergyReference
from coronet_core.metrics.scores import figures_of
from coronet_core.support.percentages import as_percentage
from coronet_core.support.plurals import counted
from tasks.calibrate.calibration_file import Calibration, ScoreReference, ValidationFigures, write_calibration
from tasks.calibrate.cin_outputs import predict_split
from tasks.calibrate.predictions import prediction_rows
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.networks.residual_index import ENERGY_COLUMNS
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import nulls_for_nan
from tasks.runtime.params.schema import CalibrateParams
from tasks.runtime.paths import CALIBRATION
from tasks.runtime.progress import log
from tasks.runtime.stage_context import StageContext

COVID19 = CLASSES.index("covid19")
ROUNDING = 1e-9
"""1 / (1 - 0.9) is 10, not a little more."""


def run(context: StageContext) -> None:
    """Fit the calibration on validation images; it is applied to test images unchanged."""
    use_cpu_threads(share=1)
    validation = predict_split(context, "validation")
    calibration = with_scores(calibrated(validation, context.params.calibrate), validation, context.params.seed)
    write_calibration(calibration)
    context.tracking.metrics(
        {"temperature": calibration.temperature}
        | {f"before.{name}": value for name, value in asdict(calibration.before).items()}
        | {f"after.{name}": value for name, value in asdict(calibration.after).items()}
    )
    context.tracking.artifact(CALIBRATION)
    for warning in calibration.warnings:
        log(f"warning: {warning}")
    log(
        f"temperature {calibration.temperature:.3f}, ECE {calibration.before.ece:.4f} before and "
        f"{calibration.after.ece:.4f} after, {counted(sum(calibration.images.values()), 'validation image')}"
    )


def calibrated(validation: SplitPredictions, params: CalibrateParams) -> Calibration:
    """Return the calibration fitted on the `validation` split."""
    truth, logits = validation.truth, validation.logits
    temperature = fit_temperature(logits, truth)
    quantile = conformal_quantile(validation.probabilities(temperature), truth, params.miscoverage)
    images: dict[ClassName, int] = {label: int((truth == i).sum()) for i, label in enumerate(CLASSES)}
    return Calibration(
        images=images,
        temperature=temperature,
        before=calibration_errors(logits, truth),
        after=calibration_errors(logits, truth, temperature),
        miscoverage=params.miscoverage,
        conformal_quantile=None if math.isinf(quantile) else quantile,
        sensitivity_floor=params.sensitivity_floor,
        covid19_threshold=threshold_for(
            validation.probabilities()[:, COVID19], truth == COVID19, params.sensitivity_floor
        ),
        energies=EnergyReference.from_energies(validation.energies, validation.groups, params.energy_percentile),
        warnings=_warnings(images, temperature, quantile, params),
        figures=_figures(validation),
    )


def _figures(validation: SplitPredictions) -> ValidationFigures:
    statistics = figures_of(validation.truth, validation.predicted, validation.probabilities())
    known = nulls_for_nan(estimate(statistics, len(validation.truth)))
    return ValidationFigures(
        accuracy=known["accuracy"],
        balanced_accuracy=known["balanced_accuracy"],
        macro_roc_auc=known["roc_auc.macro"],
    )


def with_scores(calibration: Calibration, validation: SplitPredictions, seed: int) -> Calibration:
    """Return `calibration` with the scores of the `validation` images, the reference for drift."""
    predictions = prediction_rows(validation.logits, validation.energies, calibration)
    predictions[ENERGY_COLUMNS] = validation.energies
    reference = ScoreReference.from_predictions(
        predictions, validation.groups, derive_seed(seed, "calibrate", "scores")
    )
    return replace(calibration, scores=reference)


def _warnings(images: dict[ClassName, int], temperature: float, quantile: float, params: CalibrateParams) -> list[str]:
    n = sum(images.values())
    sentences = [
        f"No validation image of {DISPLAY_NAMES[label]}: its probabilities and prediction sets are not calibrated"
        + (", and no threshold can be chosen for calibrate.sensitivity_floor." if label == "covid19" else ".")
        for label, count in images.items()
        if count == 0
    ]
    if 0 < images["covid19"] * (1 - params.sensitivity_floor) < 1 - ROUNDING:
        needed = math.ceil(1 / (1 - params.sensitivity_floor) - ROUNDING)
        sentences.append(
            f"Too few validation images of COVID-19 ({images['covid19']}) to miss one and still reach "
            f"{as_percentage(params.sensitivity_floor)}: the threshold is the lowest of their probabilities. Use "
            f"{needed} or more, or lower calibrate.sensitivity_floor."
        )
    if is_at_the_end(temperature):
        sentences.append(
            f"The temperature is at {temperature:.2f}, the end of its range: the {n} validation images are either all "
            "classified correctly or no better than chance, so the CIN's confidence cannot be calibrated on them."
        )
    if math.isinf(quantile):
        needed = math.ceil(1 / params.miscoverage - 1)
        sentences.append(
            f"Too few validation images ({n}) for prediction sets that miss {as_percentage(params.miscoverage)}: every "
            f"set contains every class, so the network abstains from every image. Use {needed} or more, or raise "
            "calibrate.miscoverage."
        )
    return sentences
