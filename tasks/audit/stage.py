"""Stage `audit`: whether the network relies on the lungs, and whether images that are not X-rays are detected."""

from dataclasses import asdict
from typing import Any

from coronet_core.audits.masking import VIEW_NAMES, View, read_by_view
from coronet_core.audits.ood_detection import Detection
from coronet_core.audits.probes import PROBE_NAMES
from coronet_core.audits.skill import ViewFigures, retained
from coronet_core.audits.verdict import Verdict, judge
from coronet_core.data.shortcuts import TELLING_AUC
from coronet_core.metrics.intervals import Proportion
from tasks.audit.audited_images import AuditImages, read_audit_images
from tasks.audit.ood_probes import DETECTED_AUC, out_of_distribution
from tasks.audit.shortcut_classifiers import by_cells, by_column
from tasks.audit.verdict_limits import limits_of
from tasks.calibrate.calibration_file import read_calibration
from tasks.networks.trained_cin import load_coronet
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import nulls_for_nan, write_report
from tasks.runtime.paths import AUDIT
from tasks.runtime.progress import Progress, log
from tasks.runtime.stage_context import StageContext

Figures = dict[View, ViewFigures]


def run(context: StageContext) -> None:
    """Audit the trained network on the test split: figures, findings and a verdict."""
    use_cpu_threads(share=1)
    params = context.params.audit
    images = read_audit_images(context)
    coronet = load_coronet(context.params.cin.input, context.device)
    reference = read_calibration().energies
    with Progress(context.name, images.n_shown, "images") as bar:
        predictions = read_by_view(
            lambda x: coronet(x).probabilities, images.batches(images.test), images.regions, bar.advance
        )
        forest = by_cells(images, bar.advance)
        xrays, probes = out_of_distribution(coronet.tfen.residual, images, reference, bar.advance)
    network = {view: images.figures(probabilities) for view, probabilities in predictions.items()}
    columns = {column: by_column(images, column) for column in ("source", "view")}
    limits = limits_of(params)
    verdict = judge(network, columns["source"], images.n_classes, limits)
    sentences = remarks(forest, probes)
    report = {
        "images": {"train": len(images.train), "test": len(images.test)},
        "views": _views(network, forest, images),
        "columns": {
            name: None
            if figures is None
            else asdict(figures) | {"retained": asdict(retained(figures, network["as_is"], images.n_classes))}
            for name, figures in columns.items()
        },
        "out_of_distribution": {
            "threshold": reference.threshold,
            "xrays_flagged": asdict(xrays),
            "probes": {kind: asdict(found) for kind, found in probes.items()},
        },
        "verdict": asdict(verdict),
        "remarks": sentences,
    }
    write_report(AUDIT, nulls_for_nan(report))
    _track_and_log(context, network, probes, xrays, verdict, sentences)


def _views(network: Figures, forest: Figures, images: AuditImages) -> dict[str, Any]:
    """Return for each view the figures of network and forest, and the share of the network's skill that is retained."""
    return {
        view: {
            "network": asdict(figures),
            "retained": asdict(retained(figures, network["as_is"], images.n_classes)),
            "forest": asdict(forest[view]),
        }
        for view, figures in network.items()
    }


def remarks(forest: Figures, probes: dict[str, Detection]) -> list[str]:
    """Return sentences about the data and the score that do not count for the verdict."""
    where = {"lungs_masked": "what lies outside the lungs", "only_border": "the border of the images"}
    telling = {view: forest[view].roc_auc_macro for view in where}  # type: ignore[index]  # they are views
    sentences = [
        f"A simple classifier predicts the class from {where[view]} alone (mean ROC-AUC {area:.2f}): the data offer "
        "this shortcut, whether or not the network uses it."
        for view, area in telling.items()
        if area is not None and area >= TELLING_AUC
    ]
    unnoticed = [
        f"{PROBE_NAMES[kind]} ({found.roc_auc:.2f})" for kind, found in probes.items() if found.roc_auc < DETECTED_AUC
    ]
    if unnoticed:
        sentences.append(
            "Not reliably detected as out of distribution (in brackets ROC-AUC against X-rays, chance is 0.5): "
            f"{', '.join(unnoticed)}."
        )
    return sentences


def _track_and_log(
    context: StageContext,
    network: Figures,
    probes: dict[str, Detection],
    xrays: Proportion,
    verdict: Verdict,
    sentences: list[str],
) -> None:
    numbers: dict[str, float | None] = {"passed": float(verdict.passed), "xrays_flagged": xrays.share}
    for view, figures in network.items():
        numbers |= {
            f"{view}.accuracy": figures.accuracy,
            f"{view}.balanced_accuracy": figures.balanced_accuracy,
            f"{view}.roc_auc": figures.roc_auc_macro,
        }
    numbers |= {f"out_of_distribution.{kind}": found.roc_auc for kind, found in probes.items()}
    context.tracking.metrics({name: value for name, value in numbers.items() if value is not None})
    context.tracking.artifact(AUDIT)
    for sentence in (*verdict.findings, *verdict.not_checked, *sentences):
        log(sentence)
    shown = ", ".join(f"{VIEW_NAMES[view]} {figures.balanced_accuracy:.3f}" for view, figures in network.items())
    log(f"Shortcut audit {'passed' if verdict.passed else 'not passed'}. Balanced accuracy: {shown}")
