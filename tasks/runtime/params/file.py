"""Reading `params.yaml`: all that is wrong with it is said at once, before anything runs."""

import contextlib
import difflib
import json
import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.schema import Params

PARAMS_FILE = Path("params.yaml")
MAX_SHOWN = 60


def read_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check a parameter file; raises ParamsError with one line for each fault."""
    values = _parse(path)
    faults = list(_contradictions(values))
    try:
        params = TypeAdapter(Params).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        faults = [*(_described(detail, values) for detail in error.errors()), *faults]
    if faults:
        raise ParamsError("\n".join(f"{path}: {fault}" for fault in faults))
    return params


def _parse(path: Path) -> Any:
    if not path.is_file():
        raise ParamsError(f"{path}: no such parameter file. Copy one from params/, or restore it with git.")
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ParamsError(f"{path}: not valid YAML ({reason}). Correct it, or restore it with git.") from error


def _described(detail: ErrorDetails, values: Any) -> str:
    key = ".".join(_place(detail, values)) or "the file"
    match detail["type"]:
        case "missing":
            return f"{key}: missing. Add it; the presets in params/ show every key."
        case "unexpected_keyword_argument":
            name = str(detail["loc"][-1])
            close = difflib.get_close_matches(name, _known_keys() - {name}, n=1)
            hint = f" Did you mean {close[0]}?" if close else " Remove it."
            return f"{key} = {_shown(detail['input'])}: unknown key.{hint}"
        case "union_tag_invalid" | "union_tag_not_found":
            discriminator = detail["ctx"]["discriminator"].strip("'")
            given = detail["input"].get(discriminator)
            allowed = detail["ctx"].get("expected_tags", "one of the kinds that the presets in params/ show")
            return f"{key}.{discriminator} = {_shown(given)}: allowed: {allowed}"
        case _:
            allowed = detail["msg"].replace("Input should be", "allowed:")
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
    with contextlib.suppress(KeyError, TypeError):
        fold, folds = values["data"]["split"]["fold"], values["data"]["split"]["folds"]
        if fold > folds:
            yield f"data.split.fold = {fold}: allowed: a whole number from 1 to data.split.folds ({folds})"
