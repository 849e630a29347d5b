"""Comparison of a candidate with the champion on the candidate's test images.

If both come from the same split, the predictions of their own runs are compared. If the split has changed since, the
champion's networks are evaluated again, on the test images of the candidate.
"""

from dataclasses import replace
from pathlib import Path

import torch

from coronet_core.common.manifest import IDS, read_notes, read_rows
from coronet_core.support.errors import DataError
from coronet_core.support.plurals import counted
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.package.package_folder import read_package
from tasks.promotion.model_comparison import Comparison, compare
from tasks.promotion.reevaluate import predict_test_images
from tasks.promotion.run_reports import Evidence
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import MANIFEST, SPLIT, SPLIT_STAGE
from tasks.runtime.tracking.provenance import dvc_hashes


def comparison_with(
    champion: Evidence, package: Path, candidate: Evidence, params: Params, device: torch.device
) -> Comparison:
    """Compare `candidate` with the champion, whose package is in the folder `package`.

    Raises DataError if a file that this needs cannot be found.
    """
    ours = candidate.predictions()
    if ours is None:
        raise DataError(
            f"the test predictions of version {candidate.version} cannot be found. Promote it where it was made, or "
            "push its results from there with `dvc push`."
        )
    is_same_split = champion.split_md5 == candidate.split_md5
    theirs, seen, notes = champion.predictions() if is_same_split else None, frozenset[str](), []
    if theirs is None:
        theirs = _retested(champion, package, candidate, params, device)
        notes.append(
            f"Version {champion.version} was evaluated again, on the test images of version {candidate.version}."
        )
        if champion.reading != candidate.reading:
            ours, remarks = _seen_by_both(ours, theirs, champion, candidate)
            notes += remarks
    if not is_same_split:
        notes.append("The split has changed since the champion was made.")
        seen, is_known = _seen_by(champion)
        if not is_known:
            notes.append(
                f"It is unknown which patients version {champion.version} was trained with. If some are among the test "
                "patients, it has an unfair advantage here."
            )
    found = compare(ours, theirs, f"version {champion.version}", seen, params)
    return replace(found, notes=(*found.notes, *notes))


def _seen_by_both(
    ours: SplitPredictions, theirs: SplitPredictions, champion: Evidence, candidate: Evidence
) -> tuple[SplitPredictions, list[str]]:
    """Return the candidate's predictions for the images that the champion's reading rule accepts, and notes."""
    is_read = ours.images["image_id"].isin(theirs.images["image_id"]).to_numpy()
    by_rule = [f"version {one.version} by rule {one.reading}" for one in (champion, candidate)]
    remarks = [f"Each version read the images by its own rule: {', '.join(by_rule)}."]
    if not is_read.all():
        remarks.append(
            f"{counted(int((~is_read).sum()), 'image is', 'images are')} excluded from the comparison: the rule of "
            f"version {champion.version} cannot read them."
        )
    kept = replace(ours, images=ours.images[is_read], truth=ours.truth[is_read], logits=ours.logits[is_read])
    return kept, remarks


def _seen_by(champion: Evidence) -> tuple[frozenset[str], bool]:
    """Return ids, in this folder's split, of the champion's training patients and images, and whether all are known.

    With ids by another key they are known by the images' content alone.
    """
    theirs = champion.seen_patients()
    if theirs is None:
        return frozenset(), False
    here = read_rows(MANIFEST)
    is_same = here["sha256"].isin(theirs.contents) | here["pixel_sha256"].isin(theirs.contents)
    by_content = frozenset(here["image_id"][here["patient_group"].isin(here["patient_group"][is_same])])
    is_named_alike = theirs.named_by == read_notes(MANIFEST).get(IDS)
    return (by_content | theirs.ids, True) if is_named_alike else (by_content, False)


def _retested(
    champion: Evidence, package: Path, candidate: Evidence, params: Params, device: torch.device
) -> SplitPredictions:
    here = dvc_hashes(SPLIT_STAGE)["outs"].get(str(SPLIT))
    if here != candidate.split_md5:
        raise DataError(
            f"version {champion.version} must be evaluated on the images of version {candidate.version}, but {SPLIT} "
            f"has another split (md5 {here}, not {candidate.split_md5}). Check out the commit of version "
            f"{candidate.version} and its split (`dvc checkout`) first."
        )
    stored_as = (candidate.image_size_px, candidate.aspect, candidate.reading)
    return predict_test_images(read_package(package), stored_as, params, device)
