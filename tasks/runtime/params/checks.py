"""Reading and checking params: all that is wrong with a file is said at once, before anything runs."""

import contextlib
import difflib
import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.cin_params import contradictions
from tasks.runtime.params.presets import EXTENDS, ParamsFile, merged, read_files
from tasks.runtime.params.schema import Params

PARAMS_FILE = Path("params.yaml")
MAX_SHOWN = 60
LIST, SECTION = "allowed: a list", "allowed: a section of keys"
OF_YAML = {"list_type": LIST, "tuple_type": LIST, "dataclass_type": SECTION, "dict_type": SECTION}
"""What pydantic calls a valid array or an object, as those say it who write YAML."""


def read_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check a parameter file and those it extends; raises ParamsError with one line for each fault."""
    files = read_files(path)
    if len(files) > 1 and path.resolve() == PARAMS_FILE.resolve():
        raise ParamsError(
            f"{path}: {EXTENDS}: not allowed here, since DVC reads this file and needs every key. Rename it, such as "
            "to mine.yaml, and type `coronet run --params mine.yaml`, which writes the complete file."
        )
    values = merged(files)
    params, faults = validated(values)
    if params is None:
        raise ParamsError("\n".join(f"{_source(place, files)}: {fault}" for place, fault in faults))
    return params


def validated(values: Any) -> tuple[Params | None, list[tuple[list[str], str]]]:
    """Return `values` as params, None if they are faulty; and for each fault its place, a list of keys, and a line."""
    params: Params | None = None
    faults: list[tuple[list[str], str]] = [([], fault) for fault in _contradictions(values)]
    try:
        params = TypeAdapter(Params).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        found = [(list(_place(detail, values)), detail) for detail in error.errors()]
        faults = [(place, _described(detail, place)) for place, detail in found] + faults
    return (None if faults else params), faults


def _source(place: Sequence[str], files: list[ParamsFile]) -> str:
    """Name the file that was asked for, and the base that the value at `place` is from, if it is from one."""
    asked = files[0].path
    source = next((file.path for file in files if _states(file.values, place)), asked)
    return str(asked) if source == asked else f"{asked}, from {source}"


def _states(values: Any, place: Sequence[str]) -> bool:
    for key in place:
        if not isinstance(values, dict):  # a list is stated as a whole
            return True
        if key not in values:
            return False
        values = values[key]
    return True


def _described(detail: ErrorDetails, place: Sequence[str]) -> str:
    key = ".".join(place) or "the file"
    match detail["type"]:
        case "missing":
            example = "the presets for X-rays show" if "sources" in place else "params/base.yaml shows"
            return f"{key}: missing. Add it; {example} every key."
        case "unexpected_keyword_argument":
            name = str(detail["loc"][-1])
            close = difflib.get_close_matches(name, (_known_keys() | {EXTENDS}) - {name}, n=1)
            hint = f" Did you mean {close[0]}?" if close else " Remove it."
            return f"{key} = {_shown(detail['input'])}: unknown key.{hint}"
        case "union_tag_invalid" | "union_tag_not_found":
            discriminator = detail["ctx"]["discriminator"].strip("'")
            given = detail["input"].get(discriminator)
            allowed = detail["ctx"].get("expected_tags", "one of the kinds that the presets in params/ show")
            return f"{key}.{discriminator} = {_shown(given)}: allowed: {allowed}"
        case "too_short":
            return f"{key} = {_shown(detail['input'])}: allowed: a list of {detail['ctx']['min_length']} or more"
        case kind:
            allowed = OF_YAML.get(kind) or detail["msg"].replace("Input should be", "allowed:")
            return f"{key} = {_shown(detail['input'])}: {allowed}"


def _place(detail: ErrorDetails, values: Any) -> Iterator[str]:
    """Yield the keys and list positions that lead to a fault. Pydantic names branches of a union among them."""
    for part in detail["loc"]:
        is_there = part in values if isinstance(values, dict) else isinstance(values, list) and isinstance(part, int)
        if is_there:
            values = values[part]
        if is_there or (detail["type"] == "missing" and part == detail["loc"][-1]):
            yield str(part)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return textwrap.shorten(text, MAX_SHOWN, placeholder=" ...")


def _known_keys(schema: type = Params) -> set[str]:
    known: set[str] = set()
    for field in fields(schema):
        known.add(field.name)
        for nested in _dataclasses_in(field.type):
            known |= _known_keys(nested)
    return known


def _dataclasses_in(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _dataclasses_in(argument)


def _contradictions(values: Any) -> Iterator[str]:
    """Yield faults that no single key has; what is missing or of a wrong type is named elsewhere."""
    with contextlib.suppress(KeyError, TypeError):
        mask, image = values["explain"]["perturbation"]["mask_size_px"], values["data"]["image_size_px"]
        if mask > image:
            yield f"explain.perturbation.mask_size_px = {mask}: allowed: at most data.image_size_px ({image})"
    with contextlib.suppress(KeyError, TypeError):
        stride, window = (values["explain"]["occlusion"][key] for key in ("stride_px", "window_px"))
        if stride > window:
            yield f"explain.occlusion.stride_px = {stride}: allowed: at most explain.occlusion.window_px ({window})"
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        yield from contradictions(values["cin"], values["data"]["image_size_px"])
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        sources = values["data"]["sources"]
        if sources and all(source.get("used_by") == "autoencoders" for source in sources):
            yield "data.sources: allowed: at least one that is not used_by autoencoders alone"
    with contextlib.suppress(KeyError, TypeError):
        autoencoder = values["autoencoder"]
        if autoencoder["epochs"] == 0 and autoencoder.get("pretrained") is None:
            yield "autoencoder.epochs = 0: allowed: 1 or more, unless autoencoder.pretrained names weights"
    with contextlib.suppress(KeyError, TypeError):
        fold, folds = values["data"]["split"]["fold"], values["data"]["split"]["folds"]
        if fold > folds:
            yield f"data.split.fold = {fold}: allowed: a whole number from 1 to data.split.folds ({folds})"
