"""The sources that `params.yaml: data` names, listed and combined."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from coronet_core.common.classes import CLASSES, FOR_AUTOENCODERS, ClassName
from coronet_core.data.image_record import Listing, Record
from coronet_core.data.sources import covid_chestxray, covidx_lists, image_folder, phantom, rsna
from coronet_core.data.splitting.published_splits import read_ids, require_parts, with_test_patients
from coronet_core.support.errors import DataError
from tasks.runtime.params.data import (
    CovidChestXraySource,
    CovidxListsSource,
    DataParams,
    ImageFolderSource,
    PhantomSource,
    RsnaSource,
    Source,
    SplitByPublishedList,
    SplitByTestPatients,
)
from tasks.runtime.progress import log

MAX_NAMED = 3


def list_images(data: DataParams, seed: int, *, labels_only: bool = False) -> Listing:
    """List the images of all sources, with their published parts if the split goes by them.

    An image that is listed again becomes another copy. Those of sources for the autoencoders alone are the last. Unless
    `labels_only`, a source of which no image is there is an error: DataError says where it was looked for.
    """
    records: list[Record] = []
    extra: list[Record] = []
    passed_over: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    for source in data.sources:
        listing = _listing(source, data, seed)
        if not labels_only and all(record.version == "missing" for record in listing.records):
            others = "".join(f"; skipped: {reason} ({n})" for reason, n in listing.passed_over.most_common(MAX_NAMED))
            raise DataError(
                f"source {source.kind}: none of its {len(listing.records)} images is under "
                f"{Path(data.root)}{others}. Put them there (docs/data.md says how), or build from the labels alone "
                "with `coronet data build --labels-only`."
            )
        if source.used_by == FOR_AUTOENCODERS:
            own = [record for record in listing.records if record.label != "covid19"]
            n_left_out = len(listing.records) - len(own)
            passed_over[f"{source.kind}: covid19, which no autoencoder is trained on"] += n_left_out
            extra += own
        else:
            records += listing.records
        passed_over += Counter({f"{source.kind}: {reason}": n for reason, n in listing.passed_over.items()})
        unread += Counter({f"{source.kind}: {column}": n for column, n in listing.unread.items()})
        for note in listing.notes:
            log(note)
    numbered = _with_copies([*records, *extra])
    for_autoencoders = [replace(record, published_part=FOR_AUTOENCODERS) for record in numbered[len(records) :]]
    parted = [*_with_parts(numbered[: len(records)], data), *for_autoencoders]  # those of the splits first
    return Listing(records=parted, passed_over=+passed_over, unread=unread)


def _listing(source: Source, data: DataParams, seed: int) -> Listing:
    root = Path(data.root)
    match source:
        case PhantomSource():
            patients: dict[ClassName, int] = {label: getattr(source.patients, label) for label in CLASSES}
            return phantom.records(patients, source.images_per_patient_max, data.image_size_px, seed)
        case ImageFolderSource():
            return image_folder.records(
                root, source.folder, source.labels_csv, source.patient_id_pattern, source.class_aliases
            )
        case CovidChestXraySource():
            return covid_chestxray.records(
                root / source.folder,
                source.metadata_csv,
                source.images,
                source.views,
                source.modalities,
                source.findings,
            )
        case RsnaSource():
            return rsna.records(
                root / source.folder,
                source.images,
                source.class_info_csv,
                source.labels_csv,
                source.nih_map_csv,
                source.classes,
                source.counted_by,
            )
        case CovidxListsSource():
            return covidx_lists.records(
                root / source.folder,
                {"train": source.lists.train, "test": source.lists.test},
                {"train": source.images.train, "test": source.images.test},
                source.labels,
                source.nih_map_csv,
            )
        case _:
            assert_never(source)


def _with_copies(records: list[Record]) -> list[Record]:
    copies: defaultdict[tuple[str, str], int] = defaultdict(int)
    numbered = []
    for record in records:
        copies[record.source, record.name] += 1
        numbered.append(replace(record, copy=copies[record.source, record.name]))
    return numbered


def _with_parts(records: list[Record], data: DataParams) -> list[Record]:
    split = data.split
    if isinstance(split, SplitByTestPatients):
        images = {image for path in split.test_images for image in read_ids(Path(data.root) / path)}
        return with_test_patients(records, split.test_patients, images)
    if isinstance(split, SplitByPublishedList):
        require_parts(records)
        return records
    return [replace(record, published_part=None) for record in records]
