"""What stands in tables and headers where nothing is known."""

import unicodedata
from typing import Final

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


def is_blank(text: str) -> bool:
    """Say whether `text` is empty, signs alone such as `-` and `?`, or a word such as `n/a`, `NaN` and `unknown`."""
    found = letters_and_digits(text)
    return not found or found in WORDS


def letters_and_digits(text: str) -> str:
    """Return the letters and digits of `text`, small and without accents, by which words are compared."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in decomposed if one.isalnum())
