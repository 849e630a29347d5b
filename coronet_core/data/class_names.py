"""Names of the classes in folders and tables: aliases, denials, and what a misspelt one may mean."""

import difflib
import itertools
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
NEGATIVE: Final = re.compile(r".*neg(ative)?$")
DENIAL: Final = re.compile(r"(?:(?:non|not?)[\W_]|(?:non|not)(?=covid|pneum|sars))(.+)")
"""Lower-case names that deny what follows, if that is a class or a finding: non-covid, noncovid, no pneumonia."""
WORD: Final = re.compile(r"[^\W_]+")
FINDING: Final = re.compile(
    r"abnormal|ards|atelecta|bacteri|cardiomegal|consolidat|corona|covid|disease|edema|oedema|effusion|emphysema"
    r"|fibrosis|finding|flu$|fracture|fung|hernia|ill$|infect|infiltrat|influenza|lesion|mass(es)?$|mers$|ncov"
    r"|nodul|opaci|patholog|pneum|positive|sars|sick|tb$|thickening|tubercul|vir(al|us)"
)
"""How words for findings and diseases begin, in lower case; short ones are whole."""


def class_of(name: str, aliases: Mapping[str, ClassName]) -> ClassName | None:
    """Return the class that `name` or one of the `aliases` names; capitals, blanks and signs do not matter."""
    return _known(aliases).get(letters_and_digits(name))


def is_denial(name: str, aliases: Mapping[str, ClassName]) -> bool:
    """Say whether `name` says what an image does not show: a class, one of the `aliases` or a finding.

    non-covid and "no lung opacity" do; "No. 5" and no-name do not.
    """
    lower = name.casefold()
    denied = DENIAL.match(lower)
    return NEGATIVE.match(lower) is not None or (denied is not None and _is_of_a_chest(denied[1], aliases))


def _is_of_a_chest(text: str, aliases: Mapping[str, ClassName]) -> bool:
    words = [letters_and_digits(word) for word in WORD.findall(text)]
    runs = {"".join(words[start:end]) for start, end in itertools.combinations(range(len(words) + 1), 2)}
    return not runs.isdisjoint(_known(aliases)) or any(FINDING.match(word) for word in words)


def suggestion(name: str, aliases: Mapping[str, ClassName]) -> str:
    """Return ` Did you mean ...?` with the class whose name is close to `name`, or nothing."""
    if is_denial(name, aliases):
        return ""
    known = _known(aliases)
    close = difflib.get_close_matches(letters_and_digits(name), known, n=1, cutoff=0.7)
    return f" Did you mean {known[close[0]]}?" if close else ""


def _known(aliases: Mapping[str, ClassName]) -> dict[str, ClassName]:
    named: dict[str, ClassName] = {letters_and_digits(alias): label for alias, label in aliases.items()}
    return named | {label: label for label in CLASSES}
