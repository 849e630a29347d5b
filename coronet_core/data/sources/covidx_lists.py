"""Source `covidx_lists`: COVID-Net's published train and test lists, of every COVIDx version.

A line is `patient file label` or, from COVIDx 5 on, `patient file label source`. Patient ids may hold blanks (v7A to
v8B), so lines are read from their end; the source `rnsa` (v9) is rsna. A patient is called as in the other sources,
so that lists and sources can be combined.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from coronet_core.common.classes import ClassName
from coronet_core.data.file_kinds import has_image_suffix
from coronet_core.data.file_names import relative_path
from coronet_core.data.image_record import Listing, PublishedPart, Record, file_version
from coronet_core.data.patients import patient_ids
from coronet_core.data.sources import covid_chestxray, rsna
from coronet_core.data.sources.rsna import patients_of_rsna
from coronet_core.data.text_files import read_text
from coronet_core.support.errors import DataError

LABELS = frozenset({"normal", "pneumonia", "covid-19", "positive", "negative"})
SOURCES = {"cohen": covid_chestxray.SOURCE, "rnsa": rsna.SOURCE}
"""What lists call the sources that this project calls otherwise."""
RSNA_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COHEN_ID = re.compile(r"\d+[a-z]?")
MIN_WORDS = 3
UNKNOWN_SOURCE = "covidx"
REMEDY = "COVID-Net publishes the lists; put them into the folder that params.yaml names."


@dataclass(frozen=True)
class Line:
    """One line of a list."""

    patient: str
    file: str
    label: str
    source: str


def records(
    folder: Path,
    lists: Mapping[PublishedPart, str],
    images: Mapping[PublishedPart, str],
    labels: Mapping[str, ClassName],
    nih_map_csv: str | None,
) -> Listing:
    """List the images of both lists that have one of `labels`; `images` are the folders of each part's images.

    The lists call RSNA's images, not their patients, by an id: without the table `nih_map_csv`, these are not known.
    Raises DataError for a missing list, a line that is none, or lists without any of `labels`.
    """
    lines = [(part, line) for part in get_args(PublishedPart) for line in read_list(folder / lists[part])]
    of_rsna = [line.patient for _, line in lines if line.source == rsna.SOURCE]
    patients = {} if nih_map_csv is None else patients_of_rsna(folder / nih_map_csv, of_rsna)
    listing = Listing(records=[], passed_over=Counter())
    for part, line in lines:
        if line.label not in labels:
            listing.passed_over[f"label {line.label}"] += 1
            continue
        file = folder / images[part] / line.file
        listing.records.append(
            Record(
                source=line.source,
                name=Path(line.file).stem if line.source == rsna.SOURCE else line.file,
                patient_id=_patient(line, patients),
                has_placeholder_id=_normalised(line) is None,
                header_repeats_name=line.source == rsna.SOURCE,
                label=labels[line.label],
                read=partial(file.read_bytes),
                version=file_version(file),
                published_part=part,
            )
        )
    if not listing.records:
        found = ", ".join(sorted(listing.passed_over)) or "nothing"
        raise DataError(f"{folder}: the lists hold none of the labels {', '.join(labels)} (found: {found}).")
    return listing


def read_list(path: Path) -> list[Line]:
    """Read a list, compressed by gzip or not; raises DataError that names the line which is none."""
    if not path.is_file():
        raise DataError(f"{path}: no such list. {REMEDY}")
    lines = read_text(path)[0].splitlines()
    return [_parse(text, f"{path}, line {n}") for n, text in enumerate(lines, start=1) if text.strip()]


def _parse(text: str, place: str) -> Line:
    words = text.split()
    if words[-1].lower() in LABELS:
        *patient, file, label = words if len(words) > 1 else ("", *words)
        source = _guessed_source(" ".join(patient))
    elif len(words) > MIN_WORDS and words[-2].lower() in LABELS:
        *patient, file, label, source = words
    else:
        raise DataError(f"{place}: neither 'patient file label' nor 'patient file label source': {text[:80]!r}.")
    if not patient or not has_image_suffix(file):
        raise DataError(f"{place}: {file!r} is not the name of an image file. Correct or remove the line.")
    relative_path(file, f"{place}: file")
    return Line(patient=" ".join(patient), file=file, label=label, source=SOURCES.get(source, source))


def _guessed_source(patient: str) -> str:
    """Tell RSNA's images and Cohen's patients by their ids, in lists that do not name the source."""
    if RSNA_ID.fullmatch(patient):
        return rsna.SOURCE
    return covid_chestxray.SOURCE if COHEN_ID.fullmatch(patient) else UNKNOWN_SOURCE


def _patient(line: Line, patients_of_rsna_images: Mapping[str, str]) -> str | None:
    if line.source == rsna.SOURCE:
        return patients_of_rsna_images.get(line.patient)
    return patient_ids.prefixed("cohen" if line.source == covid_chestxray.SOURCE else line.source, _normalised(line))


def _normalised(line: Line) -> str | None:
    return patient_ids.normalised(line.patient, zeros_are_ids=True)
