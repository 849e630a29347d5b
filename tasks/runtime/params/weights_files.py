"""The files of weights that params name, for folders other than the project's."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any


def use_full_paths(values: MutableMapping[str, Any]) -> None:
    """Name each file of weights in the `values` of a params file by its full path, in place."""
    pretrained = values.get("autoencoder", {}).get("pretrained") or {}
    for section, key in ((values["cin"], "pretrained"), *((pretrained, label) for label in pretrained)):
        if (path := Path(section[key])).is_file():
            section[key] = str(path.resolve())
