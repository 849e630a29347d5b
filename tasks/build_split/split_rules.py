"""From listed images to a split: duplicates, leaks and patients, in that order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES, SPLITS, SplitName
from coronet_core.common.manifest import IDS, read_notes, read_rows
from coronet_core.data.dataset_audit import findings
from coronet_core.data.patients.pseudonyms import Ids
from coronet_core.data.splitting.autoencoder_images import add_for_autoencoders, are_for_autoencoders
from coronet_core.data.splitting.duplicates import Images, drop_duplicates, mark_duplicates, originals
from coronet_core.data.splitting.published_splits import treat_leaks
from coronet_core.data.splitting.split import assign_folds, assign_splits, fractions_of
from coronet_core.support.errors import DataError
from tasks.runtime.files import digest
from tasks.runtime.params.data import DataParams, SplitByFolds, SplitByPatients
from tasks.runtime.paths import SPLIT
from tasks.runtime.progress import log

RULE: Final = "split_rule"
READING: Final = "reading"
"""The version of the rule by which values became grey; the first in manifests from before it was kept."""
MOST_SEEN_FIRST: Final = SPLITS
"""A group whose patients were apart goes where the models that exist have seen most of it: to train before test."""


def apply_rules(
    manifest: pd.DataFrame,
    data: DataParams,
    seed: int,
    images_at: Callable[[NDArray[np.int64]], Images] | None = None,
    previous: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Fill all columns of `manifest` that the split decides, in place; returns what was found on the way.

    Images for the autoencoders alone are added to the split of the others, which is the same without them.
    `previous` holds `image_id`, `patient_id` and `split` as assigned by an earlier build: patients stay there,
    and with them an image whose patient had another id then.
    `images_at` returns the images at given positions; None if nothing was decoded.
    """
    is_extra = are_for_autoencoders(manifest)
    if not is_extra.any():
        return _apply_to_main(manifest, data, seed, images_at, previous)
    main, places = manifest[~is_extra].copy(), np.flatnonzero(~is_extra)
    main_images_at = None if images_at is None else lambda positions: images_at(places[positions])
    found = _apply_to_main(main, data, seed, main_images_at, previous)
    manifest.loc[main.index] = main
    add_for_autoencoders(manifest, images_at, keep_duplicates=data.duplicates == "keep")
    return found


def _apply_to_main(
    manifest: pd.DataFrame,
    data: DataParams,
    seed: int,
    images_at: Callable[[NDArray[np.int64]], Images] | None,
    previous: pd.DataFrame | None,
) -> dict[str, Any]:
    mark_duplicates(manifest, images_at)
    found = findings(manifest)
    if data.duplicates == "drop":
        drop_duplicates(manifest)
    if isinstance(data.split, SplitByPatients):
        everywhere = pd.Series(data=True, index=manifest.index)
        fractions = fractions_of(data.split.test_fraction, data.split.validation_fraction)
        _assign(manifest, everywhere, fractions, seed, previous)
        return found
    if isinstance(data.split, SplitByFolds):
        _assign_fold(manifest, data.split, seed)
        return found
    treat_leaks(manifest, data.split.leaks)
    validation = data.split.validation_fraction
    in_training_part = manifest["published_part"] == "train"
    _assign(manifest, in_training_part, {"validation": validation, "train": 1 - validation}, seed, previous)
    in_test_part = manifest["rejected_because"].isna() & ~in_training_part
    _require_all_classes(manifest[in_test_part])
    manifest.loc[in_test_part, "split"] = "test"
    return found


def _assign_fold(manifest: pd.DataFrame, rule: SplitByFolds, seed: int) -> None:
    images = manifest[manifest["rejected_because"].isna()]
    wholes = (images["patient_group"] if rule.unit == "patients" else originals(images)).tolist()
    folds = assign_folds(wholes, images["label"].tolist(), rule.folds, seed)
    splits: list[SplitName] = ["test"] * len(images)
    others = [place for place, fold in enumerate(folds) if fold != rule.fold]
    fractions: dict[SplitName, float] = {"validation": rule.validation_fraction, "train": 1 - rule.validation_fraction}
    labels = images["label"].tolist()
    dealt = assign_splits([wholes[i] for i in others], [labels[i] for i in others], fractions, seed)
    for place, split in zip(others, dealt, strict=True):
        splits[place] = split
    manifest.loc[images.index, "split"] = splits


def _require_all_classes(tested: pd.DataFrame) -> None:
    if missing := [label for label in CLASSES if label not in set(tested["label"])]:
        raise DataError(
            f"class {missing[0]} has no image in the published test part. Correct data.split, or set data.split.by to "
            "patients."
        )


def _assign(
    manifest: pd.DataFrame,
    among: pd.Series,
    fractions: dict[SplitName, float],
    seed: int,
    previous: pd.DataFrame | None,
) -> None:
    images = manifest[among & manifest["rejected_because"].isna()]
    stays = {} if previous is None else _kept(manifest[among], previous, fractions)
    try:
        splits = assign_splits(images["patient_group"].tolist(), images["label"].tolist(), fractions, seed, stays)
    except DataError as error:
        if not stays:
            raise
        remedy = f"Patients keep the split of the last build: to split all of them again, delete {SPLIT}."
        raise DataError(f"{error} {remedy}") from error
    manifest.loc[images.index, "split"] = splits


def _kept(images: pd.DataFrame, previous: pd.DataFrame, fractions: dict[SplitName, float]) -> dict[str, SplitName]:
    """Return the split of each group of patients that was assigned before, be its old images duplicates by now."""
    patients = images[["patient_id", "patient_group"]].drop_duplicates()
    by_patient = patients.merge(previous[["patient_id", "split"]].drop_duplicates(), on="patient_id")
    by_image = images[["image_id", "patient_group"]].merge(previous[["image_id", "split"]], on="image_id")
    known = pd.concat([by_patient, by_image])[["patient_group", "split"]]
    known = known[known["split"].isin(list(fractions))]
    known["order"] = known["split"].map(MOST_SEEN_FIRST.index)
    kept = known.sort_values("order").drop_duplicates("patient_group").set_index("patient_group")["split"]
    return cast("dict[str, SplitName]", kept.to_dict())


def notes_of(data: DataParams, seed: int, ids: Ids) -> dict[str, str]:
    """Return the notes of a manifest: whether a later build can continue its split, and how images were read."""
    return {RULE: digest(seed, data.split), IDS: ids.fingerprint, READING: str(data.reading)}


def previous_splits(path: Path, notes: dict[str, str]) -> pd.DataFrame | None:
    """Return `image_id`, `patient_id` and `split` in the last manifest; None if all patients are to be split again.

    Raises DataError if the manifest is damaged, or calls patients by other ids.
    """
    if not path.is_file():
        return None
    former = read_notes(path)
    if former.get(RULE) != notes[RULE]:
        log("the seed or data.split has changed: all patients are split again")
        return None
    if former.get(IDS) != notes[IDS]:
        raise DataError(
            f"{path}: was written with another CORONET_PSEUDONYM_KEY or another data.ids, so its patients cannot be "
            f"matched. Restore these settings or, to split all patients again, delete {path.parent}."
        )
    return read_rows(path)[["image_id", "patient_id", "split"]].dropna()
