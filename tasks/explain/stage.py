"""Stage `explain`: attribution maps of chosen test images (paper sec. 3.4) by several methods, and their evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from coronet_core.attribution.deletion_and_insertion import Curves
from coronet_core.common.manifest import read_manifest
from coronet_core.common.seeds import derive_seed
from coronet_core.common.shards import Shards, write_array
from coronet_core.support.plurals import counted
from coronet_core.support.tables import read_frame, write_frame
from tasks.explain.gallery_choice import choose_for_gallery
from tasks.explain.image_choice import choose
from tasks.explain.measures import repeated_and_random, table_by_method
from tasks.explain.method_runs import make_curves, make_maps, randomise, repeat, total_passes
from tasks.explain.methods import CONTROLS
from tasks.explain.resumable_batches import ExplanationWork
from tasks.networks.trained_cin import load_coronet
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import digest, write_report
from tasks.runtime.paths import (
    CIN_WEIGHTS,
    EXPLANATION_INDEX,
    EXPLANATION_MEASURES,
    EXPLANATIONS,
    GALLERY_INDEX,
    GALLERY_MAPS,
    IMAGES,
    MANIFEST,
    PREDICTIONS,
    RESIDUAL_SCALE,
    autoencoder_weights,
    explanation_maps,
)
from tasks.runtime.progress import Progress, log
from tasks.runtime.resume import finish, resume_folder
from tasks.runtime.stage_context import StageContext


def run(context: StageContext) -> None:
    """Explain the predictions of some test images; write the maps by method, their index and their measures."""
    use_cpu_threads(share=1)
    params, seed = context.params.explain, derive_seed(context.params.seed, "explain")
    coronet = load_coronet(context.params.cin.input, context.device)
    predictions, stored = read_frame(PREDICTIONS), Shards.in_folder(IMAGES)
    chosen = choose(predictions, read_manifest(MANIFEST), params, seed)
    shown = choose_for_gallery(predictions)
    images, shown_images = (stored.take(rows["stack_row"].to_numpy(dtype=np.int64)) for rows in (chosen, shown))
    weights = [autoencoder_weights("healthy"), autoencoder_weights("pneumonia"), CIN_WEIGHTS]
    weights += [RESIDUAL_SCALE] if RESIDUAL_SCALE.is_file() else []
    resume = resume_folder(
        context.name, digest(params, seed, context.params.cin.input, PREDICTIONS, MANIFEST, *weights)
    )
    n_passes = total_passes(coronet, len(chosen), len(shown), params, images.shape[1:])
    with Progress(context.name, n_passes, "passes") as bar:
        work = ExplanationWork(chosen, images, params.batch_size, context.device, resume, bar)
        made = {name: make_maps(work, name, coronet, params, seed) for name in (*params.methods, *CONTROLS)}
        maps = {method: one.salience for method, one in made.items()}
        curves = {method: make_curves(work, method, maps[method], coronet, params) for method in maps}
        repeated = repeat(work, coronet, maps["perturbation"], params, seed)
        random = randomise(work, coronet, maps, params, seed)
        gallery = ExplanationWork(shown, shown_images, params.batch_size, context.device, resume, bar)
        gallery_maps = make_maps(gallery, params.gallery_method, coronet, params, seed, "gallery").salience
    table = table_by_method(chosen, maps, curves, params.measures)
    for method in table:
        table[method] |= repeated_and_random(method, repeated, random, params.measures.confidence)
        table[method]["seconds_per_image"] = made[method].seconds
    write_array(_out(resume, GALLERY_MAPS), gallery_maps.squeeze(1).numpy())
    write_frame(shown, _out(resume, GALLERY_INDEX))
    _write(resume, chosen, maps, table, curves)
    _track(context, table)
    pointing = table["perturbation"]["pointing_accuracy"]
    accuracy = "" if pointing is None else f", pointing accuracy {pointing:.2f}"
    log(
        f"{counted(len(chosen), 'image')}, {counted(len(maps), 'map')} of each; perturbation: "
        f"{_deletion_auc(table)}{accuracy}"
    )


def _deletion_auc(table: dict[str, dict[str, Any]]) -> str:
    ours, random = (table[method]["deletion_auc"] for method in ("perturbation", "random"))
    return f"deletion AUC {ours:.3f} (random maps {random:.3f})"


def _write(
    resume: Path,
    chosen: pd.DataFrame,
    maps: dict[str, Tensor],
    table: dict[str, dict[str, Any]],
    curves: dict[str, Curves],
) -> None:
    """Write all outs. The folder moves into place last, so that a killed run can be resumed until then."""
    for method, salience in maps.items():
        write_array(_out(resume, explanation_maps(method)), salience.squeeze(1).numpy())
    write_frame(chosen, _out(resume, EXPLANATION_INDEX))
    means = {
        method: {name: curve.mean(dim=0).tolist() for name, curve in both._asdict().items()}
        for method, both in curves.items()
    }
    write_report(EXPLANATION_MEASURES, {"images": len(chosen), "methods": table, "curves": means})
    finish(resume, resume / EXPLANATIONS.name, EXPLANATIONS)


def _out(resume: Path, path: Path) -> Path:
    """Return where the file `path` of the folder of explanations lies until that folder moves into place."""
    folder = resume / EXPLANATIONS.name
    folder.mkdir(exist_ok=True)
    return folder / path.name


def _track(context: StageContext, table: dict[str, dict[str, Any]]) -> None:
    of_methods = [explanation_maps(method) for method in table]
    for path in (EXPLANATION_MEASURES, EXPLANATION_INDEX, *of_methods, GALLERY_INDEX, GALLERY_MAPS):
        context.tracking.artifact(path)
    numbers = {
        f"{method}.{name}": float(value)
        for method, measures in table.items()
        for name, value in measures.items()
        if isinstance(value, int | float)
    }
    context.tracking.metrics(numbers)
