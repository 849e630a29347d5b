"""The sources that `params.yaml: data` names, listed and combined."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.data.image_record import Listing, Record
from coronet_core.data.patients.pseudonyms import Ids
from coronet_core.data.sources import covid_chestxray, covidx_lists, image_folder, phantom, rsna
from coronet_core.data.splitting.published_splits import read_ids, require_parts, with_test_patients
from coronet_core.support.errors import DataError, ParamsError
from tasks.build_split.pseudonym_key import DEFAULT_KEY, KEY_VARIABLE, NEW_KEY, SET_KEY, pseudonym_key
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


def ids_of(data: DataParams) -> Ids:
    """Return how images and patients are called in what is written.

    Raises ParamsError if the key of the hashes is no secret, and `data.require_secret_key` wants one.
    """
    if data.require_secret_key and _is_guessable(data):
        raise ParamsError(
            f"{KEY_VARIABLE} is not set, and data.require_secret_key is true: whoever can guess a patient's id could "
            f"recompute its hash. Make a key once with `{NEW_KEY}`, and type `{SET_KEY}` in each shell before "
            "`coronet`. For public data, or to go on with a split that was made without a key, set "
            "data.require_secret_key: false in params.yaml."
        )
    return Ids(pseudonym_key(), as_given=data.ids == "as_given")


def key_warnings(data: DataParams) -> list[str]:
    """Return a sentence for the report if the key of the hashes is no secret, and images are of real patients."""
    if not _is_guessable(data):
        return []
    told = (
        f"{KEY_VARIABLE} is not set: ids of patients are hashed with a key that everybody knows, so whoever can guess "
    )
    return [f"{told}an id can recompute its hash and find the patient. Set it before you give to others what was made."]


def _is_guessable(data: DataParams) -> bool:
    return pseudonym_key() == DEFAULT_KEY and not all(isinstance(source, PhantomSource) for source in data.sources)


def list_images(data: DataParams, seed: int, *, labels_only: bool = False) -> Listing:
    """List the images of all sources, with their published parts if the split goes by them.

    An image that is listed again becomes another copy. Unless `labels_only`, a source of which no image is there is
    an error: DataError says where it was looked for.
    """
    records: list[Record] = []
    passed_over: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    for source in data.sources:
        listing = _listing(source, data, seed)
        if not labels_only and all(record.version == "missing" for record in listing.records):
            others = "".join(f"; passed over: {n} {reason}" for reason, n in listing.passed_over.most_common(MAX_NAMED))
            raise DataError(
                f"source {source.kind}: none of its {len(listing.records)} images is under "
                f"{Path(data.root)}{others}. Put them there (docs/data.md says how), or build from the labels alone "
                "with `coronet data build --labels-only`."
            )
        records += listing.records
        passed_over += Counter({f"{source.kind}: {reason}": n for reason, n in listing.passed_over.items()})
        unread += Counter({f"{source.kind}: {column}": n for column, n in listing.unread.items()})
        for note in listing.notes:
            log(note)
    return Listing(records=_with_parts(_with_copies(records), data), passed_over=passed_over, unread=unread)


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
