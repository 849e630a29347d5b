"""Fields of tables and DICOM headers: blanks, view, sex and age, each in one vocabulary."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Literal

PADDING: Final = " \t\r\n\f\v\0\u00a0\u200b\ufeff"
"""What is around values and no part of them."""
WORDS: Final = frozenset(
    [
        "blank",
        "desconocido",
        "empty",
        "inconnu",
        "missing",
        "na",
        "nan",
        "nat",
        "nil",
        "none",
        "notapplicable",
        "notavailable",
        "notgiven",
        "notknown",
        "notprovided",
        "notspecified",
        "null",
        "sconosciuto",
        "tba",
        "tbd",
        "unavailable",
        "unbekannt",
        "undefined",
        "unk",
        "unkn",
        "unknown",
        "unspecified",
    ]
)
View = Literal["PA", "AP", "AP Supine", "L", "Axial", "Coronal", "Sagittal"]
"""Posteroanterior, anteroposterior, of a patient who lies, lateral, slices: as Cohen's collection calls them."""
Sex = Literal["F", "M", "O"]
MAX_AGE_YEARS: Final = 120
DAYS_A_YEAR: Final = 365.25
YEARS_OF_UNIT: Final = {"y": 1.0, "a": 1.0, "j": 1.0, "m": 1 / 12, "w": 7 / DAYS_A_YEAR, "d": 1 / DAYS_A_YEAR}
"""Years of a unit by the letter that it begins with: years, ans or anni, Jahre, months, weeks, days."""
AGE: Final = re.compile(
    r"(\d{1,3}(?:[.,]\d+)?)[\s-]*"
    r"(y|y[./]?o\.?|yrs?|years?|years? old|ans|anni|jahre?|m|mo|mos|months?|w|wks?|weeks?|d|days?)?"
)
OLDEST: Final = re.compile(
    r"(?:>\s*(?:89|90)|>=\s*90|≥\s*90|(?:89|90)\s*(?:\+|(?:and|or) (?:over|above|older)))[\s-]*(?:y|yrs?|years?)?"
)
"""How de-identified tables write an age above 89."""
SEXES: Final[dict[str, Sex]] = {
    **dict.fromkeys(
        (
            "f",
            "female",
            "w",
            "woman",
            "girl",
            "weiblich",
            "frau",
            "fem",
            "femme",
            "feminin",
            "femmina",
            "femenino",
            "mujer",
        ),
        "F",
    ),
    **dict.fromkeys(
        (
            "m",
            "male",
            "man",
            "boy",
            "mannlich",
            "maennlich",
            "mann",
            "masc",
            "homme",
            "hombre",
            "masculin",
            "masculino",
        ),
        "M",
    ),
    **dict.fromkeys(("o", "other", "d", "divers", "diverse", "nonbinary", "intersex"), "O"),
}
WORDS_OF_PA: Final = re.compile(r"poster(?:o|ior)anterior")
WORDS_OF_AP: Final = re.compile(r"anter(?:o|ior)posterior")
LYING: Final = frozenset({"supine", "recumbent"})
OF_THE_SIDE: Final = frozenset({"l", "ll", "rl", "lat", "lateral", "laterolateral"})
SLICES: Final[dict[str, View]] = {"axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal"}
NOT_UPRIGHT: Final = frozenset({"decubitus", "oblique", "lld", "rld", "llo", "rlo"})
"""Words of views that are none of the four."""


def is_blank(text: str) -> bool:
    """Say whether `text` is empty, signs alone such as `-` and `?`, or a word such as `n/a`, `NaN` and `unknown`."""
    found = letters_and_digits(text)
    return not found or found in WORDS


def letters_and_digits(text: str) -> str:
    """Return the letters and digits of `text`, small and without accents, by which words are compared."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in decomposed if one.isalnum())


def age_years(text: str | None) -> float | None:
    """Return an age in years, from 0 to 120: of `058Y`, `58`, `58.0`, `58 years`, `018M`, `3 weeks`; 90 of `>89`."""
    found = _plain(text)
    if OLDEST.fullmatch(found):
        return 90.0
    match = AGE.fullmatch(found)
    if match is None:
        return None
    years = float(match[1].replace(",", ".")) * YEARS_OF_UNIT[(match[2] or "y")[0]]
    return years if math.isfinite(years) and years <= MAX_AGE_YEARS else None


def sex(text: str | None) -> Sex | None:
    """Return F, M or O: of `Female`, `f`, `male`, `Other`."""
    return SEXES.get(re.sub(r"[\W_]", "", _plain(text)))


def view(text: str | None) -> View | None:
    """Return the projection, or the plane of a slice: of `pa`, `Posteroanterior`, `AP portable`, `Lateral`, `Axial`.

    None where two of them are named, and for oblique and decubitus views, whose names do not imply a projection.
    """
    found = re.sub(r"\b([pal])\.", r"\1", _plain(text))  # p.a.
    words = {word for word in re.split(r"[\W_]+", found) if word}
    letters = re.sub(r"[\W_]", "", found)
    if words & NOT_UPRIGHT:
        return None
    is_pa = "pa" in words or bool(WORDS_OF_PA.search(letters))
    is_ap = "ap" in words or bool(WORDS_OF_AP.search(letters))
    is_lateral = bool(words & OF_THE_SIDE)
    slices = [SLICES[word] for word in sorted(words & SLICES.keys())]
    if is_pa + is_ap + is_lateral + len(slices) != 1:
        return None
    if slices:
        return slices[0]
    if is_ap:
        return "AP Supine" if words & LYING else "AP"
    return "PA" if is_pa else "L"


def of_row(row: Mapping[str, str], unread: Counter[str]) -> dict[str, Any]:
    """Return `view`, `sex` and `age` of a table's row; values that are there and not understood count in `unread`."""
    known = {"view": view(row.get("view")), "sex": sex(row.get("sex")), "age": age_years(row.get("age"))}
    unread.update(name for name, value in known.items() if value is None and not is_blank(row.get(name, "")))
    return known


def _plain(text: str | None) -> str:
    """Return `text` in small letters without accents, padding and NUL."""
    letters = unicodedata.normalize("NFKD", text or "").casefold()
    return "".join(one for one in letters if not unicodedata.combining(one)).strip(PADDING)
