"""Stage `build_split`: raw sources in; manifest, uint8 image shards and `reports/split.json` out."""

import os
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

from coronet_core.classes import CLASSES, SPLITS, ClassName
from coronet_core.data.ingest import Row, read_images
from coronet_core.data.manifest import write_manifest
from coronet_core.data.record import Record
from coronet_core.data.sources import image_folder, phantom
from coronet_core.data.split import assign_splits
from coronet_core.errors import DataError
from tasks.files import digest, write_json
from tasks.params import DataParams, ImageFolderSource, Source
from tasks.paths import IMAGES, MANIFEST, SPLIT, SPLIT_REPORT
from tasks.progress import Progress, say
from tasks.resume import discard, finish, resume_folder
from tasks.stage import StageContext

MAX_NAMED = 3


def run(context: StageContext) -> None:
    """Read all images, reject what cannot be read, split by patient, and write the manifest."""
    data, seed = context.params.data, context.params.seed
    # Without a key of one's own, whoever can guess patient ids can recompute their pseudonyms.
    key = os.environ.get("CORONET_PSEUDONYM_KEY", "coronet")
    records = [record for source in data.sources for record in _records(source, data, seed)]
    known = [[getattr(record, field.name) for field in fields(record) if field.name != "read"] for record in records]
    work = digest(data.image_size_px, data.shard_images, key, known)
    resume = resume_folder(context.name, work)
    folder = resume / SPLIT.name
    with Progress("reading images", len(records), "images") as bar:
        rows = read_images(
            records, data.image_size_px, data.shard_images, key, folder / IMAGES.name, resume / "blocks", bar.advance
        )
    try:
        _check_rejects(rows, data.max_rejected_fraction)
    except DataError:
        discard(resume)  # a file that is repaired must be read again
        raise
    _split(records, rows, data, seed)
    write_manifest(rows, folder / MANIFEST.name)
    finish(resume, folder, SPLIT)
    _tell(context, _report(rows))


def _records(source: Source, data: DataParams, seed: int) -> list[Record]:
    if isinstance(source, ImageFolderSource):
        return image_folder.records(Path(data.root) / source.folder, source.labels_csv, source.patient_id_pattern)
    patients: dict[ClassName, int] = {label: getattr(source.patients, label) for label in CLASSES}
    return phantom.records(patients, source.images_per_patient_max, data.image_size_px, seed)


def _check_rejects(rows: list[Row], max_rejected_fraction: float) -> None:
    rejects = [row for row in rows if row["rejected_because"]]
    if len(rejects) > max_rejected_fraction * len(rows):
        named = "; ".join(f"{row['image_id']}: {row['rejected_because']}" for row in rejects[:MAX_NAMED])
        more = f"; and {len(rejects) - MAX_NAMED} more" if len(rejects) > MAX_NAMED else ""
        raise DataError(
            f"{len(rejects)} of {len(rows)} images cannot be read ({named}{more}). Repair or remove them, or accept "
            f"them with data.max_rejected_fraction = {len(rejects) / len(rows):.2g} or more."
        )


def _split(records: list[Record], rows: list[Row], data: DataParams, seed: int) -> None:
    """Fill the column `split` of the accepted rows."""
    accepted = [(record, row) for record, row in zip(records, rows, strict=True) if not row["rejected_because"]]
    splits = assign_splits(
        [record.patient_id for record, _ in accepted],
        [record.label for record, _ in accepted],
        test_fraction=data.test_fraction,
        validation_fraction=data.validation_fraction,
        seed=seed,
    )
    for (_, row), split in zip(accepted, splits, strict=True):
        row["split"] = split


def _report(rows: list[Row]) -> dict[str, Any]:
    images = Counter((row["split"], row["label"]) for row in rows)
    patients = {(row["split"], row["label"], row["patient_id"]) for row in rows}
    n_patients = Counter((split, label) for split, label, _ in patients)
    return {
        "images": {split: {label: images[split, label] for label in CLASSES} for split in SPLITS},
        "patients": {split: {label: n_patients[split, label] for label in CLASSES} for split in SPLITS},
        "rejected": Counter(row["rejected_because"] for row in rows if row["rejected_because"]),
        "sources": Counter(row["source"] for row in rows),
    }


def _tell(context: StageContext, report: dict[str, Any]) -> None:
    write_json(SPLIT_REPORT, report)
    for split, counts in report["images"].items():
        say(f"{split}: " + ", ".join(f"{n} {label}" for label, n in counts.items()))
        context.tracking.metrics({f"images_{split}_{label}": float(n) for label, n in counts.items()})
    for path in (SPLIT_REPORT, MANIFEST):
        context.tracking.artifact(path)
