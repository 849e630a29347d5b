"""Stage `build_split`: raw sources in; manifest, uint8 image shards and `reports/split.json` out."""

import math
from typing import Any

import pandas as pd

from coronet_core.classes import SPLITS
from coronet_core.data.audit import audit
from coronet_core.data.duplicates import KINDS
from coronet_core.data.ingest import (
    ROWS,
    Preprocessing,
    damaged_files,
    forget_rejects,
    places_in_stack,
    read_images,
    write_accepted,
)
from coronet_core.data.manifest import write_manifest
from coronet_core.data.record import Record
from coronet_core.data.suitability import note_unsuitable, reject_unsuitable
from coronet_core.errors import DataError
from coronet_core.shards import Shards
from tasks.files import digest, write_json, write_rows
from tasks.kept_files import set_aside
from tasks.paths import IMAGE_NAMES, IMAGES, MANIFEST, SPLIT, SPLIT_REPORT
from tasks.progress import Progress, say
from tasks.reporting.paper import PAPER
from tasks.resume import finish, restore_former, resume_folder
from tasks.splitting.sources import ids_of, list_images
from tasks.splitting.split_rules import apply_rules, notes_of, previous_splits
from tasks.stage import StageContext

MAX_NAMED = 3


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
        say(f"resuming with {found_blocks} blocks of {data.shard_images} images")
    preprocessing = Preprocessing(image_size_px=data.image_size_px, aspect=data.aspect, reading=data.reading)
    with Progress("reading images", len(listing.records), "images") as bar:
        manifest = read_images(listing.records, preprocessing, data.shard_images, ids, decoded, blocks, bar.advance)
    _write_names(listing.records, manifest)
    try:
        _check_rejects(manifest, data.max_rejected_fraction)
    except DataError:
        forget_rejects(decoded, blocks)
        raise
    say("looking for duplicates and leaks")
    stack = Shards.in_folder(decoded)
    places = places_in_stack(manifest)
    note_unsuitable(manifest, data.min_grey_levels)
    if data.unsuitable == "reject":
        reject_unsuitable(manifest)
    found = apply_rules(manifest, data, seed, lambda positions: stack.take(places[positions]), previous)
    write_accepted(manifest, places, stack, data.shard_images, split / IMAGES.name)
    write_manifest(manifest, split / MANIFEST.name, notes)
    report = audit(manifest, found, listing.passed_over, Shards.in_folder(split / IMAGES.name), seed)
    write_json(SPLIT_REPORT, report)
    finish(resume, split, SPLIT)
    tell(report)
    _track(context, report)


def _write_names(records: list[Record], manifest: pd.DataFrame) -> None:
    """Write which image of its source each image_id is, for the person who has to repair it."""
    reasons = [None if pd.isna(reason) else reason for reason in manifest["rejected_because"]]
    columns = (manifest["image_id"], manifest["source"], [record.name for record in records], reasons)
    write_rows(IMAGE_NAMES, [("image_id", "source", "name", "rejected_because"), *zip(*columns, strict=True)])


def _check_rejects(manifest: pd.DataFrame, max_rejected_fraction: float) -> None:
    rejects = manifest[manifest["rejected_because"].notna()]
    share = len(rejects) / len(manifest)
    if share > max_rejected_fraction or len(rejects) == len(manifest):
        named = "; ".join(f"{row.image_id}: {row.rejected_because}" for row in rejects.head(MAX_NAMED).itertuples())
        more = f"; and {len(rejects) - MAX_NAMED} more" if len(rejects) > MAX_NAMED else ""
        enough = math.ceil(share * 1000) / 1000
        accept = f", or accept them with data.max_rejected_fraction = {enough} or more" if share < 1 else ""
        raise DataError(
            f"{len(rejects)} of {len(manifest)} images cannot be read ({named}{more}). {IMAGE_NAMES} says which files "
            f"they are: repair or remove them{accept}."
        )


def tell(report: dict[str, Any]) -> None:
    """Print the counts of a split and every warning."""
    for split in SPLITS:
        say(f"{split}: " + ", ".join(f"{n} {label}" for label, n in report["images"][split].items()))
    if report["table_1"] == PAPER["images"]:
        say("training with validation, and test: exactly the paper's Table 1")
    if "leaks" in report:
        by_class = ", ".join(f"{n} with {label} images in both" for label, n in report["leaks"]["by_class"].items())
        say(f"patients in both parts of the published split: {report['leaks']['patients']} ({by_class})")
    for reason, n in report["rejected"].items():
        say(f"left out: {n} {reason}")
    for note, n in report["reading_notes"].items():
        say(f"noted of {n} images: {note}")
    for warning in report["warnings"]:
        say(f"warning: {warning}")


def _track(context: StageContext, report: dict[str, Any]) -> None:
    for split, counts in report["images"].items():
        context.tracking.metrics({f"images_{split}_{label}": float(n) for label, n in counts.items()})
    context.tracking.metrics({f"duplicates_{kind}": float(report["duplicates"][kind]) for kind in KINDS})
    context.tracking.metrics({"patients_in_two_splits": float(report["patients_in_two_splits"])})
    for path in (SPLIT_REPORT, MANIFEST):
        context.tracking.artifact(path)
