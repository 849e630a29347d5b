"""What a data set contains and what is wrong with it, in figures and plain sentences."""

from typing import Any

import pandas as pd

from coronet_core.common.classes import CLASSES, SPLITS
from coronet_core.common.manifest import groupings
from coronet_core.common.shards import Shards
from coronet_core.data import shortcuts
from coronet_core.data.image_record import Listing
from coronet_core.data.patients.patient_audit import doubtful_patients, patient_warnings
from coronet_core.data.reading.suitability import counted_notes
from coronet_core.data.splitting.autoencoder_images import are_for_autoencoders
from coronet_core.data.splitting.duplicates import KINDS, contradictions
from coronet_core.data.splitting.published_splits import leaking, leaks_by_class
from coronet_core.support.plurals import counted

Counts = dict[str, Any]


def findings(manifest: pd.DataFrame) -> Counts:
    """Return what is found before the rules for duplicates and leaks take images out: these two, in figures.

    Takes a manifest whose `patient_group`, `duplicate_of` and `duplicate_kind` are filled.
    """
    accepted = manifest[manifest["rejected_because"].isna()]
    again = accepted[accepted["duplicate_of"].notna()]
    originals = accepted.set_index("image_id").loc[again["duplicate_of"]]
    contradicting = contradictions(manifest)
    found: Counts = {
        "duplicates": {
            **{kind: int((again["duplicate_kind"] == kind).sum()) for kind in KINDS},
            "across_sources": int((originals["source"].to_numpy() != again["source"].to_numpy()).sum()),
            "across_patients": int((originals["patient_id"].to_numpy() != again["patient_id"].to_numpy()).sum()),
            "contradicting_labels": int(contradicting.sum()),
            "contradicting_images": sorted(manifest.loc[contradicting, "image_id"]),
        }
    }
    if manifest["published_part"].notna().any():
        by_class = leaks_by_class(manifest)
        patients = sorted(manifest.loc[leaking(manifest), "patient_group"].unique())
        found["leaks"] = {
            "patients": len(patients),
            "by_class": {label: len(ids) for label, ids in by_class.items()},
            "patient_ids": patients,
            "patient_ids_by_class": by_class,
        }
    return found


def audit(manifest: pd.DataFrame, found: Counts, listing: Listing, stack: Shards | None, seed: int) -> Counts:
    """Return the report of a finished split, `found` included.

    `stack` holds the accepted images in their order; without it, nothing was decoded. Images for the autoencoders
    alone, which come last, are counted apart. Numbers are metrics that DVC compares; lists name the patients and images
    behind them, and the warnings.
    """
    everything = manifest[manifest["rejected_because"].isna()]
    is_extra = are_for_autoencoders(everything)
    accepted, extra = everything[~is_extra], everything[is_extra]
    rejected = manifest["rejected_because"].dropna().str.split(" (", regex=False).str[0]
    telling = {
        name: shortcuts.recognisability(seen, accepted, seed)
        for name, seen in shortcuts.features(accepted, stack).items()
    }
    splits_of_patients = accepted.drop_duplicates(["patient_group", "split"])["patient_group"].value_counts()
    report: Counts = {
        "images": {split: _by_class(accepted[accepted["split"] == split]) for split in SPLITS},
        "patients": {
            split: _by_class(accepted[accepted["split"] == split].drop_duplicates(["patient_id", "label"]))
            for split in SPLITS
        },
        "table_1": {
            "train": _by_class(accepted[accepted["split"] != "test"]),  # validation is a part of it
            "test": _by_class(accepted[accepted["split"] == "test"]),
        },
        "patients_in_two_splits": int((splits_of_patients > 1).sum()),
        "patient_ids": doubtful_patients(accepted),
        "rejected": rejected.value_counts().to_dict(),
        "reading_notes": counted_notes(manifest),
        "passed_over": dict(listing.passed_over.most_common()),
        "unread": dict(listing.unread.most_common()),
        **found,
        "duplicates": found["duplicates"] | {"kept": int(accepted["duplicate_of"].notna().sum())},
        "sources": accepted["source"].value_counts().to_dict(),
        **{f"by_{name}": _by_class_and(accepted, groups) for name, groups in groupings(accepted).items()},
        "shortcuts": telling,
    }
    if len(extra):
        report["for_autoencoders"] = _by_class(extra)
    return report | {"warnings": _warnings(report, len(accepted))}


def _by_class(images: pd.DataFrame) -> dict[str, int]:
    counts = images["label"].value_counts()
    return {label: int(counts.get(label, 0)) for label in CLASSES}


def _by_class_and(images: pd.DataFrame, groups: "pd.Series[str]") -> dict[str, dict[str, int]]:
    return {str(value): _by_class(members) for value, members in images.groupby(groups)}


def _warnings(report: Counts, n_images: int) -> list[str]:
    sentences = patient_warnings(report["patient_ids"], n_images)
    if n := report["patients_in_two_splits"]:
        sentences.append(
            f"{counted(n, 'patient is', 'patients are')} in more than one split: figures on this test split are too "
            "optimistic. Use this split only to compare with published figures."
        )
    duplicates = report["duplicates"]
    if n := duplicates["kept"]:
        sentences.append(
            f"{counted(n, 'image is a duplicate and was', 'images are duplicates and were')} kept: what it shows "
            "counts several times in training and in every figure."
        )
    if n := duplicates["contradicting_labels"]:
        sentences.append(
            f"{counted(n, 'image is a duplicate', 'images are duplicates')} of an image of another class: some labels "
            "must be wrong."
        )
    return sentences + shortcuts.shortcut_warnings(report["shortcuts"])
