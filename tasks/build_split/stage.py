"""Stage `build_split`: raw sources in; manifest, uint8 image shards and `reports/split.json` out."""

import math
from typing import Any

import pandas as pd

from coronet_core.common.manifest import write_manifest
from coronet_core.common.paper import PAPER
from coronet_core.common.shards import Shards
from coronet_core.data.dataset_audit import audit
from coronet_core.data.image_record import Record
from coronet_core.data.ingest import (
    ROWS,
    Preprocessing,
    damaged_files,
    forget_rejects,
    group_oldest,
    join_headers,
    places_in_stack,
    read_images,
    write_accepted,
)
from coronet_core.data.patients.patient_audit import doubtful_ids
from coronet_core.data.reading.suitability import MASK, note_unsuitable, reject_unsuitable
from coronet_core.data.splitting.duplicates import KINDS
from coronet_core.support.errors import DataError
from coronet_core.support.plurals import counted
from tasks.build_split.pseudonym_key import ids_of, key_warnings
from tasks.build_split.sources import list_images
from tasks.build_split.split_rules import apply_rules, notes_of, previous_splits
from tasks.runtime.files import digest, write_report, write_rows
from tasks.runtime.params.data import DataParams
from tasks.runtime.paths import IMAGE_NAMES, IMAGES, MANIFEST, SPLIT, SPLIT_REPORT
from tasks.runtime.progress import Progress, log
from tasks.runtime.resume import finish, restore_former, resume_folder, set_aside
from tasks.runtime.stage_context import StageContext

MAX_NAMED = 3
NO_X_RAY = (MASK, "not an image (a DICOM without pixels")
"""Prefixes of the rejection reasons of intact files that are not X-rays and cannot be repaired."""
MAX_REASONS = 8
"""Why images are passed over, on a terminal: collections have dozens of findings."""


def run(context: StageContext) -> None:
    """Read all images, reject what cannot be read, find duplicates, split by patient, and write the manifest."""
    data, seed = context.params.data, context.params.seed
    ids, listing = ids_of(data), list_images(data, seed)
    notes = notes_of(data, seed, ids)
    restore_former(context.name, SPLIT)
    previous = previous_splits(MANIFEST, notes)
    resume = resume_folder(context.name, digest(data.shard_images))
    decoded, blocks, split = resume / "decoded", resume / "blocks", resume / SPLIT.name
    for damaged in damaged_files(decoded, blocks):
        set_aside(damaged, resume)
    if found_blocks := len(list(blocks.glob(ROWS))):
        log(f"resuming with {counted(found_blocks, 'block')} of {counted(data.shard_images, 'image')}")
    preprocessing = Preprocessing(image_size_px=data.image_size_px, aspect=data.aspect, reading=data.reading)
    with Progress("reading images", len(listing.records), "images") as bar:
        manifest = read_images(listing.records, preprocessing, data.shard_images, ids, decoded, blocks, bar.advance)
    join_headers(manifest, listing.records, ids)
    group_oldest(manifest, data.oldest_age_years)
    _write_names(listing.records, manifest)
    try:
        _check_rejects(listing.records, manifest, data.max_rejected_fraction)
    except DataError:
        forget_rejects(decoded, blocks)
        raise
    log("looking for duplicates and leaks")
    stack = Shards.in_folder(decoded, may_have_gaps=True)  # blocks without a readable image have no shard
    places = places_in_stack(manifest)
    treat_unsuitable(manifest, data)
    found = apply_rules(manifest, data, seed, lambda positions: stack.take(places[positions]), previous)
    write_accepted(manifest, places, stack, data.shard_images, split / IMAGES.name)
    write_manifest(manifest, split / MANIFEST.name, notes)
    report = audit(manifest, found, listing, Shards.in_folder(split / IMAGES.name), seed)
    report["warnings"] += key_warnings(data)
    write_report(SPLIT_REPORT, report)
    finish(resume, split, SPLIT)
    print_summary(report)
    name_doubtful(report, listing.records, manifest)
    _track(context, report)


def _write_names(records: list[Record], manifest: pd.DataFrame) -> None:
    """Write which image of its source each image_id is, readable only by their owner, for repairs."""
    reasons = [None if pd.isna(reason) else reason for reason in manifest["rejected_because"]]
    columns = (manifest["image_id"], manifest["source"], [record.name for record in records], reasons)
    rows = [("image_id", "source", "name", "rejected_because"), *zip(*columns, strict=True)]
    write_rows(IMAGE_NAMES, rows, is_private=True)


def _check_rejects(records: list[Record], manifest: pd.DataFrame, max_rejected_fraction: float) -> None:
    """Raise DataError for too many images that cannot be read. What was never an X-ray is none of them.

    It names files, for the person in front of the terminal.
    """
    reasons = manifest["rejected_because"].fillna("")
    are_others = reasons.str.startswith(NO_X_RAY)
    if are_others.all():
        raise DataError(
            f"none of {len(manifest)} images is an X-ray (the first: {reasons.iloc[0]}). Correct data.sources."
        )
    names = pd.Series([record.name for record in records], index=manifest.index)
    rejects, n_images = manifest.assign(name=names)[(reasons != "") & ~are_others], int((~are_others).sum())
    share = len(rejects) / n_images
    if share > max_rejected_fraction or len(rejects) == n_images:
        named = "; ".join(f"{row.name}: {row.rejected_because}" for row in rejects.head(MAX_NAMED).itertuples())
        more = f"; and {len(rejects) - MAX_NAMED} more" if len(rejects) > MAX_NAMED else ""
        enough = math.ceil(share * 1000) / 1000
        accept = f", or accept them with data.max_rejected_fraction = {enough} or more" if share < 1 else ""
        raise DataError(
            f"{len(rejects)} of {counted(n_images, 'image')} cannot be read ({named}{more}). {IMAGE_NAMES} lists them "
            f"all: repair or remove them{accept}."
        )


def treat_unsuitable(manifest: pd.DataFrame, data: DataParams) -> None:
    """Note unsuitable images in `manifest` and reject them if `data` says so, in place."""
    note_unsuitable(manifest, data.min_grey_levels)
    if data.unsuitable == "reject":
        reject_unsuitable(manifest)


def print_summary(report: dict[str, Any]) -> None:
    """Print the counts of a split and every warning."""
    extra = {"for the autoencoders alone": report["for_autoencoders"]} if "for_autoencoders" in report else {}
    for split, counts in (report["images"] | extra).items():
        log(f"{split}: " + ", ".join(f"{n} {label}" for label, n in counts.items()))
    if report["table_1"] == PAPER["images"]:
        log("training with validation, and test: exactly the paper's Table 1")
    if "leaks" in report:
        by_class = ", ".join(f"{n} with images of {label} in both" for label, n in report["leaks"]["by_class"].items())
        log(f"patients in both parts of the published split: {report['leaks']['patients']} ({by_class})")
    others = list(report["passed_over"].items())
    for reason, n in others[:MAX_REASONS]:
        log(f"skipped: {reason} ({n})")
    if rest := others[MAX_REASONS:]:
        log(f"skipped: {counted(len(rest), 'other reason')} ({sum(n for _, n in rest)}), listed in {SPLIT_REPORT}")
    for reason, n in report["rejected"].items():
        log(f"left out: {reason} ({n})")
    for column, n in report["unread"].items():
        log(f"not understood, treated as unknown: {counted(n, 'value')} of {column}")
    for note, n in report["reading_notes"].items():
        log(f"noted for {counted(n, 'image')}: {note}")
    for warning in report["warnings"]:
        log(f"warning: {warning}")


def name_doubtful(report: dict[str, Any], records: list[Record], manifest: pd.DataFrame) -> None:
    """Print an image of each patient whose id a warning names, and the id if it is the source's own.

    Hashes do not reveal which row or file to check. Ids of DICOM headers are never shown.
    """
    first = dict(zip(manifest["patient_id"][::-1], records[::-1], strict=True))
    for patient in doubtful_ids(report["patient_ids"]):
        record = first[patient]
        own_id = "" if record.patient_id is None else f"{record.patient_id!r}, "
        log(f"patient {patient}: {own_id}of {record.name}")


def _track(context: StageContext, report: dict[str, Any]) -> None:
    for split, counts in report["images"].items():
        context.tracking.metrics({f"images_{split}_{label}": float(n) for label, n in counts.items()})
    context.tracking.metrics({f"duplicates_{kind}": float(report["duplicates"][kind]) for kind in KINDS})
    context.tracking.metrics({"patients_in_two_splits": float(report["patients_in_two_splits"])})
    for path in (SPLIT_REPORT, MANIFEST):
        context.tracking.artifact(path)
