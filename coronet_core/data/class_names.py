"""Names of the classes in folders and tables: aliases, denials, and what a misspelt one may mean."""

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.data.fields import letters_and_digits

ALIASES: Final[Mapping[str, ClassName]] = MappingProxyType(
    {
        "normal": "healthy",
        "no finding": "healthy",
        "no findings": "healthy",
        "viral pneumonia": "pneumonia",
        "pneumonia viral": "pneumonia",
        "bacterial pneumonia": "pneumonia",
        "pneumonia bacterial": "pneumonia",
        "fungal pneumonia": "pneumonia",
        "non-covid pneumonia": "pneumonia",
        "other pneumonia": "pneumonia",
        "covid": "covid19",
        "covid pneumonia": "covid19",
        "covid-19 pneumonia": "covid19",
        "covid-19 positive": "covid19",
        "sars-cov-2": "covid19",
        "2019-ncov": "covid19",
    }
)
"""Other names of the classes. Lung opacity is not among them: it is a finding of several diseases."""
DENIAL: Final = re.compile(r"(non|not?)[\W_]|(non|not)(?=covid|pneum|sars)|.*neg(ative)?$")
"""Lower-case names that negate a class: non-covid, noncovid, no pneumonia, covid negative."""


def class_of(name: str, aliases: Mapping[str, ClassName]) -> ClassName | None:
    """Return the class that `name` or one of the `aliases` names; capitals, blanks and signs do not matter."""
    return _known(aliases).get(letters_and_digits(name))


def is_denial(name: str) -> bool:
    """Say whether `name` says what an image does not show, such as non-covid."""
    return DENIAL.match(name.casefold()) is not None


def suggestion(name: str, aliases: Mapping[str, ClassName]) -> str:
    """Return ` Did you mean ...?` with the class whose name is close to `name`, or nothing."""
    if is_denial(name):
        return ""
    known = _known(aliases)
    close = difflib.get_close_matches(letters_and_digits(name), known, n=1, cutoff=0.7)
    return f" Did you mean {known[close[0]]}?" if close else ""


def _known(aliases: Mapping[str, ClassName]) -> dict[str, ClassName]:
    named: dict[str, ClassName] = {letters_and_digits(alias): label for alias, label in aliases.items()}
    return named | {label: label for label in CLASSES}
