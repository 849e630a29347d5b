"""The space of a hyperparameter search: params, and the values that each may take.

    space:
      cin.learning_rate: {low: 0.0001, high: 0.01, log: true}
      cin.batch_size: {low: 8, high: 32, step: 8}
      cin.pretrained: [none, imagenet]

Every value that the ends of a range or a list name is checked as `params.yaml` is.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from pydantic import TypeAdapter, ValidationError, with_config

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.checks import PARAMS_FILE, read_params, validated
from tasks.runtime.params.cin_params import CinParams
from tasks.runtime.params.presets import ParamsFile, merged, nested, read_files, read_yaml
from tasks.runtime.params.ranges import STRICT
from tasks.runtime.params.schema import Params
from tasks.studies.search_objective import OBJECTIVES, Objective

SECTION: Final = "space"
SEARCHED: Final = ("autoencoder", "residuals", "cin")
"""Sections of the params that validation figures depend on, and that leave the split as it is."""
CLASS_WEIGHTS: Final = "cin.class_weights"
REPETITION: Final = "cin.repetition"
EXAMPLE: Final = Path("params/search/cin.yaml")


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Range:
    """A range of numbers, both ends included."""

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False
    """Whether values are drawn evenly on a logarithmic scale."""


@dataclass(frozen=True)
class SearchSpace:
    """Params by dotted key, and where their values come from."""

    distributions: dict[str, BaseDistribution]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return a value for each param, by dotted key, as the sampler proposes them."""
        for key, one in self.distributions.items():
            match one:
                case FloatDistribution():
                    trial.suggest_float(key, one.low, one.high, step=one.step, log=one.log)
                case IntDistribution():
                    trial.suggest_int(key, one.low, one.high, step=one.step, log=one.log)
                case CategoricalDistribution():
                    trial.suggest_categorical(key, one.choices)
        return self.values(trial.params)

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return what Optuna calls `drawn` as values of params: lists are JSON to it."""
        return {key: _value(one, drawn[key]) for key, one in self.distributions.items()}

    def drawn(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the values that nested `params` have as Optuna calls them, None if one is not in the space."""
        found = {}
        for key, one in self.distributions.items():
            value: Any = params
            for step in key.split("."):
                value = value[step]
            found[key] = _label(value) if isinstance(one, CategoricalDistribution) else value
        try:
            optuna.create_trial(params=found, distributions=self.distributions, value=0.0)
        except (ValueError, TypeError):  # not contained; no number
            return None
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the space as plain values."""
        return {key: json.loads(distribution_to_json(one)) for key, one in sorted(self.distributions.items())}


def read_space(path: Path, objective: Objective) -> SearchSpace:
    """Read the section `space` of the YAML file at `path`, for a search from the live params.

    Raises ParamsError with a line for each fault.
    """
    cin = read_params().cin  # faults of the live ones are theirs
    if not path.is_file():
        raise ParamsError(f"{path}: no such file with a search space. {EXAMPLE} is an example.")
    content = read_yaml(path, "safe")
    section = content.get(SECTION) if isinstance(content, dict) else None
    if not isinstance(section, dict) or not section:
        raise ParamsError(f"{path}: has no section `{SECTION}` of params and their values. {EXAMPLE} shows one.")
    faults = [f"{key}: unknown key. Allowed: {SECTION}." for key in content if key != SECTION]
    live = merged(read_files(PARAMS_FILE))
    distributions: dict[str, BaseDistribution] = {}
    for key, given in section.items():
        try:
            distributions[str(key)] = _distribution(str(key), given, live, objective)
        except ParamsError as error:
            faults += str(error).splitlines()
    faults = [f"{path}: {fault}" for fault in faults]
    if objective.is_of_epochs:
        faults += _several_networks(path, distributions, cin, objective)
    if faults:
        raise ParamsError("\n".join(faults))
    return SearchSpace(distributions)


def _distribution(key: str, given: Any, live: dict[str, Any], objective: Objective) -> BaseDistribution:
    values = given if isinstance(given, list) else _ends(key, given)
    _require_allowed(key, values, live, objective)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # a range that is no multiple of its step would be cut
            if isinstance(given, list):
                return CategoricalDistribution([_label(value) for value in given])
            kind = FloatDistribution if float in _numbers_in(_annotation(key)) else IntDistribution
            options = {name: value for name, value in given.items() if value is not None}
            return kind(**options)
    except UserWarning as error:
        raise ParamsError(f"{key}.high = {given['high']}: allowed: low and a multiple of step") from error
    except ValueError as error:
        raise ParamsError(f"{key}: {error}") from error


def _ends(key: str, given: Any) -> list[Any]:
    """Return the values of a range that stand for all of them: its ends, and the one a step above the lower."""
    form = "Allowed: a list of values, or {low: ..., high: ...} with step or log."
    if not isinstance(given, dict):
        raise ParamsError(f"{key} = {given}: {form}")
    try:
        found = TypeAdapter(Range).validate_json(json.dumps(given, default=str))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join([key, *(str(part) for part in fault["loc"][:1])])
        raise ParamsError(f"{place}: {fault['msg'].lower()}. {form}") from error
    return [found.low, found.high] + ([] if found.step is None else [found.low + found.step])


def _require_allowed(key: str, values: list[Any], live: dict[str, Any], objective: Objective) -> None:
    """Raise ParamsError unless `key` is a param to search by `objective` and may have each of `values`."""
    if key.split(".", maxsplit=1)[0] in live.keys() - set(SEARCHED):
        raise ParamsError(
            f"{key}: not a param to search. Allowed: those in {', '.join(SEARCHED)}, which decide the validation "
            "figures of one split and seed."
        )
    if key == REPETITION:
        raise ParamsError(f"{key}: decides random numbers alone, so the best would be luck. Remove it.")
    if key in SEARCHED:
        raise ParamsError(f"{key}: a section. Name its params, such as {key}.{next(iter(live[key]))}.")
    faults = dict.fromkeys(
        fault
        for value in values
        for _, fault in validated(merged([ParamsFile(PARAMS_FILE, one) for one in (nested({key: value}), live)]))[1]
    )
    if faults:
        raise ParamsError("\n".join(faults))
    if key == CLASS_WEIGHTS and objective.is_class_weighted:
        raise ParamsError(
            f"{key}: the weights of {objective.name}, so its values would not be comparable. Search by another figure, "
            "such as --objective validation_nll."
        )


def _several_networks(
    path: Path, distributions: Mapping[str, BaseDistribution], cin: CinParams, objective: Objective
) -> Iterator[str]:
    """Yield a fault for each param, searched in `path` or live, that lets a trial's CIN be several networks."""
    members = max(_possible("members", distributions, cin))
    several = {"members": members} if members > 1 else {}
    if "networks" in _possible("fusion", distributions, cin):  # which goes with one input alone
        several["fusion"] = "networks"
    whole = " or ".join(name for name, one in OBJECTIVES.items() if not one.is_of_epochs)
    for name, value in several.items():
        source = path if f"cin.{name}" in distributions else PARAMS_FILE
        yield (
            f"{source}: cin.{name} = {value}: makes the CIN several networks, and {objective.name} is of one alone. "
            f"Search by a figure of the whole CIN, --objective {whole}."
        )


def _possible(name: str, distributions: Mapping[str, BaseDistribution], cin: CinParams) -> list[Any]:
    """Return the values that a param of `cin` may have in a trial, of a range the ends."""
    match distributions.get(f"cin.{name}"):
        case CategoricalDistribution() as listed:
            return list(listed.choices)
        case IntDistribution() as numbers:
            return [numbers.low, numbers.high]
    return [getattr(cin, name)]


def _annotation(key: str) -> Any:
    section, name = key.split(".")
    return get_type_hints(get_type_hints(Params)[section], include_extras=True)[name]


def _numbers_in(annotation: Any) -> set[type]:
    if annotation in (int, float):
        return {annotation}
    if get_origin(annotation) is Literal:
        return set()
    return set().union(*(_numbers_in(argument) for argument in get_args(annotation)))


def _label(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def _value(distribution: BaseDistribution, drawn: Any) -> Any:
    is_list = isinstance(distribution, CategoricalDistribution) and str(drawn).startswith("[")
    return json.loads(drawn) if is_list else drawn
