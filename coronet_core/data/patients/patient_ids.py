"""Patients' ids as tables and headers give them, in the one form in which all readers compare them.

What stands where an id is missing (blanks, ANONYMOUS, nan, unknown, 0000) is no id: images that share it are of
different people. Ids that differ only in leading zeros stay apart, since they may belong to different people.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Final

from coronet_core.data.fields import PADDING, is_blank, letters_and_digits

WHOLE_NUMBER: Final = re.compile(r"(\d+)(?:[.,]0{1,2})?")
"""`7` as spreadsheets and pandas write it too: `7.0`, `7,0`."""
PREFIX: Final = re.compile(r"[^\W_]*[^\W\d_][^\W_]*[-_/:]+")
"""A source's prefix of an id, with letters in it: `cohen-8`, `covid19-8`."""
OF_A_SPREADSHEET: Final = re.compile(r"#[\w/]+[!?]?|\\N")
"""What spreadsheets and databases write where there is no value: #REF!, #DIV/0!, a backslash and N."""
POINT_ZERO: Final = re.compile(r"^(\d+)\.0$")
FRACTION: Final = re.compile(r"\d+\.\d*[1-9]\d*")
NOTHING_WRITTEN: Final = re.compile(r".*[-_/:](nan|none|null|unknown|anonymous)", re.DOTALL | re.IGNORECASE)
"""What programs make of a missing id behind anything: `covid19-nan`. A blank before it makes it a name: `Li Nan`."""
MINUS: Final = re.compile(r"-(1|9{1,4})(\.0*)?")
"""What programs write where a number is missing."""
NAMES_OF_NOBODY: Final = frozenset(
    [
        "anon",
        "anonym",
        "anonyme",
        "anonymous",
        "anonymousid",
        "anonymouspatient",
        "anonymousanonymous",
        "anonymized",
        "anonymised",
        "anonymizedpatient",
        "anonymisedpatient",
        "anonimo",
        "anonimizado",
        "anonymisiert",
        "confidential",
        "default",
        "deidentified",
        "deleted",
        "dummy",
        "hidden",
        "id",
        "masked",
        "noid",
        "noname",
        "nopatientid",
        "patient",
        "patientid",
        "patientname",
        "patientunknown",
        "pseudonym",
        "redacted",
        "removed",
        "subject",
        "subjectid",
        "unassigned",
        "unidentified",
        "unknownid",
        "unknownpatient",
        "unnamed",
        "withheld",
    ]
)
"""Letters and digits of what programs that remove names write for an id."""
MOST_IMAGES: Final = 3
"""Zeros with more times the images of any other patient of their column are no number of a patient."""


def normalised(text: str | None, *, zeros_are_ids: bool = False) -> str | None:
    """Return an id without padding and in Unicode's composed form; None if it is no id but stands for one.

    Zeros alone are none, unless `zeros_are_ids`.
    """
    found = _trimmed(text)
    if _zeros(found) is not None:
        return found if zeros_are_ids else None
    if any(kind.fullmatch(found) for kind in (MINUS, NOTHING_WRITTEN, OF_A_SPREADSHEET)):
        return None
    rest = found
    while not _is_word_for_nobody(rest):
        if (prefix := PREFIX.match(rest)) is None:
            return found
        rest = rest[prefix.end() :]
    return None


def is_written(text: str | None) -> bool:
    """Say whether anything but padding is there, be it an id or a placeholder."""
    return bool(_trimmed(text))


def of_column(values: Sequence[str | None]) -> list[str | None]:
    """Return the normalised ids of one column of a table, in order.

    In a column of numbers `7.0` is `7`, and so it is beside ids that are none, as long as none is a fraction: nobody
    writes an id so, but programs that took the column for numbers once. Zeros are an id where the column counts from
    them: it has a `1` of the same length, and the zeros hold at most MOST_IMAGES times the images of another patient.
    To take a patient for nobody would put one person into two splits; to take nobody for a patient is seen by the
    share of the images.
    """
    ids = [normalised(value) for value in values]
    known = [one for one in ids if one is not None]
    if all(WHOLE_NUMBER.fullmatch(one) for one in known):
        ids = [None if one is None else WHOLE_NUMBER.sub(r"\1", one) for one in ids]
    if not any(FRACTION.fullmatch(one) for one in known):
        ids = [None if one is None else POINT_ZERO.sub(r"\1", one) for one in ids]
    zeros = [_zeros(value) for value in values]
    counted = Counter(one for one in ids if one is not None)
    for zero, n in Counter(one for one in zeros if one is not None).items():
        first = f"{zero[:-1]}1"
        if first in counted and n <= MOST_IMAGES * max(counted.values()):
            ids = [zero if found == zero else one for one, found in zip(ids, zeros, strict=True)]
    return ids


def prefixed(source: str, patient_id: str | None) -> str | None:
    """Return the id with the source's prefix, such as `cohen-8`; None stays None."""
    return None if patient_id is None else f"{source}-{patient_id}"


def without_leading_zeros(patient_id: str) -> str:
    """Return an id in small letters, its numbers without zeros before them: equal for `7` and `007`, `P7` and `p07`."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", patient_id.casefold())


def _trimmed(text: str | None) -> str:
    return unicodedata.normalize("NFC", text or "").strip(PADDING).rstrip(f"^{PADDING}")  # empty parts of a DICOM name


def _zeros(text: str | None) -> str | None:
    match = re.fullmatch(r"(0+)(?:[.,]0+)?", _trimmed(text))
    return None if match is None else match[1]


def _is_word_for_nobody(text: str) -> bool:
    letters = letters_and_digits(text)
    return is_blank(text) or letters in NAMES_OF_NOBODY or re.fullmatch("xxx+", letters) is not None
