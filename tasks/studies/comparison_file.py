"""The candidates of a comparison: a YAML file, checked as a whole before anything runs.

    reference: residual            # every other candidate is compared with it; default: the first
    chosen_by: macro_roc_auc       # figure of the validation folds: accuracy, balanced_accuracy or macro_roc_auc
    candidates:
      residual:
        title: CoroNet as in the paper
        changes: {cin.input: residual_tensor}
      image:
        title: the same recipe on raw images
        changes: {cin.input: image}
    published:                     # shown beside the figures
      - {title: DarkCovidNet, accuracy: 0.8702, images: 1125, unit: images, source: "Ozturk et al. 2020"}

Changes are of `params.yaml`, which all candidates have in common.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import TypeAdapter, ValidationError, with_config

from coronet_core.common.classes import FoldUnit
from coronet_core.support.errors import ParamsError
from tasks.runtime.params.checks import PARAMS_FILE, read_params, validated
from tasks.runtime.params.presets import ParamsFile, merged, nested, read_files, read_yaml
from tasks.runtime.params.ranges import STRICT, Allowed, number, whole
from tasks.runtime.params.schema import Params

Figure = Literal["accuracy", "balanced_accuracy", "macro_roc_auc"]
CHANGED: Final = ("autoencoder", "residuals", "cin")
"""Sections of the params in which candidates may differ: other ones decide images, folds, seeds or figures."""
REPETITION: Final = "cin.repetition"
EXAMPLE: Final = Path("params/comparison/residual.yaml")
WORDS: Final = {
    "Input should be": "allowed:",
    "Unexpected keyword argument": "unknown key",
    "Field required": "missing",
}
"""Pydantic's, and what they are called here."""
NAME: Final = "[a-z][a-z0-9_]*"
"""Names of candidates name their folders."""

Title = Annotated[str, Allowed("a text", lambda text: bool(text.strip()))]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A recipe: the live params with some changed."""

    title: Title
    changes: dict[str, Any]
    """Values of params by dotted key."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure that others have published, shown beside those of the comparison."""

    title: Title
    accuracy: Annotated[float, number(0, 1)]
    images: Annotated[int, whole(1, 10_000_000)]
    """Tested."""
    unit: FoldUnit
    """What their splits kept whole."""
    source: Title
    """Where it is published."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Content of the file."""

    candidates: dict[str, Candidate]
    reference: str = ""
    """The candidate that every other one is compared with; empty stands for the first until the file is read."""
    chosen_by: Figure = "macro_roc_auc"
    """The figure of the validation folds by which a candidate is chosen."""
    published: list[Published] = field(default_factory=list)


def read_comparison(path: Path) -> Comparison:
    """Read the candidates in the YAML file at `path`, each a change of the live params.

    Raises ParamsError with a line for each fault.
    """
    read_params()  # faults of the live ones are theirs
    if not path.is_file():
        raise ParamsError(f"{path}: no such file with candidates. {EXAMPLE} is an example.")
    try:
        found = TypeAdapter(Comparison).validate_json(json.dumps(read_yaml(path, "safe"), default=str))
    except ValidationError as error:
        faults = [_described(fault["loc"], fault["msg"]) for fault in error.errors()]
    else:
        comparison = _settled(found)
        faults = list(_faults(comparison))
    if faults:
        raise ParamsError("\n".join(f"{path}: {fault}" for fault in faults))
    return comparison


def _settled(found: Comparison) -> Comparison:
    """Return the content with its reference, and with each change by the dotted key of a single value."""
    candidates = {name: replace(one, changes=dict(_values(one.changes))) for name, one in found.candidates.items()}
    return replace(found, candidates=candidates, reference=found.reference or next(iter(candidates), ""))


def _values(changes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the single values: `{"cin": {"epochs": 3}}` is `cin.epochs`, 3."""
    for key, value in changes.items():
        if isinstance(value, dict):
            yield from _values({f"{key}.{inner}": one for inner, one in value.items()})
        else:
            yield key, value


def params_of(comparison: Comparison) -> dict[str, Params]:
    """Return the params of each candidate, which must be sound."""
    live = merged(read_files(PARAMS_FILE))
    found = {name: _validated(candidate.changes, live)[0] for name, candidate in comparison.candidates.items()}
    return {name: params for name, params in found.items() if params is not None}


def _described(place: tuple[int | str, ...], message: str) -> str:
    key = ".".join(map(str, place)) or "the file"
    for of_pydantic, ours in WORDS.items():
        message = message.replace(of_pydantic, ours)
    return f"{key}: {message}. {EXAMPLE} shows the form."


def _faults(comparison: Comparison) -> Iterator[str]:
    """Yield what is wrong with candidates that have the right form."""
    candidates = comparison.candidates
    if len(candidates) < 2:  # noqa: PLR2004  # to be compared
        yield "candidates: fewer than two. Add one, so that there is something to compare."
    if candidates and comparison.reference not in candidates:
        yield f"reference = {comparison.reference}: no such candidate. Allowed: {', '.join(candidates)}."
    live = merged(read_files(PARAMS_FILE))
    for name, candidate in candidates.items():
        if not re.fullmatch(NAME, name):
            yield f"candidates.{name}: it names a folder. Allowed: a lower-case letter, then also digits and _."
        faults = [f"{key}: {fault}" for key in candidate.changes if (fault := _refusal(key))]
        faults = faults or list(dict.fromkeys(line for _, line in _validated(candidate.changes, live)[1]))
        yield from (f"candidates.{name}: {fault}" for fault in faults)


def _refusal(key: str) -> str | None:
    """Say why no candidate may change the param `key`; None if it may."""
    section, _, name = key.partition(".")
    if section not in CHANGED or not name:
        return f"candidates may not differ in it. Allowed: params of {', '.join(CHANGED)}, such as cin.input."
    if key == REPETITION:
        return "set by the comparison itself, for each of its seeds. Remove it."
    return None


def _validated(changes: Mapping[str, Any], live: dict[str, Any]) -> tuple[Params | None, list[tuple[list[str], str]]]:
    return validated(merged([ParamsFile(PARAMS_FILE, values) for values in (nested(changes), live)]))
