"""The image files that a table names, however its program writes paths."""

import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from coronet_core.data.file_names import relative_path
from coronet_core.data.text_files import read_text
from coronet_core.support.errors import DataError

MAX_NAMED: Final = 3


def listed_files(table: Path, folder: Path, names: list[str], files: Iterable[str]) -> list[str]:
    """Return the path below `folder` of each of `names`; `files` are the paths below it that are there.

    Backslashes may separate folders, and letters with accents may be composed or not: as the files are named on disk
    counts. Raises DataError for a name that is none, leads out, does not exist or is there twice.
    """
    there = set(files)
    by_letters = {_composed(file): file for file in sorted(there)}
    found = [_on_disk(table, name, there, by_letters) for name in names]
    missing = [name for name, file in zip(names, found, strict=True) if file is None]
    if missing:
        more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        raise DataError(
            f"{table}: names files that do not exist: {', '.join(missing[:MAX_NAMED])}{more}."
            f"{_hint(table, missing[0], there)} Put them under {folder}, or delete their rows."
        )
    known = [file for file in found if file is not None]
    doubled = [file for file, n in Counter(known).items() if n > 1]
    if doubled:
        raise DataError(f"{table}: lists {doubled[0]} more than once. Delete the rows that are too many.")
    return known


def _on_disk(table: Path, name: str, there: Collection[str], by_letters: Mapping[str, str]) -> str | None:
    if not name:
        raise DataError(f"{table}: has a row without a file. Name the image's path in the column file, or delete it.")
    for text in (name, name.replace("\\", "/")):
        path = relative_path(os.path.normpath(text), f"{table}: file")  # a/b.png and ./a/b.png are one image
        if path in there:
            return path
        if (other := by_letters.get(_composed(path))) is not None:
            return other
    return None


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _hint(table: Path, name: str, there: Collection[str]) -> str:
    """Return what may be wrong with a name that no file has."""
    last = _composed(name).replace("\\", "/").rsplit("/", 1)[-1].casefold()
    same = next((file for file in sorted(there) if _composed(file).rsplit("/", 1)[-1].casefold() == last), None)
    if same is not None:
        return f" Did you mean {same}? Paths are relative to the folder."
    if not name.isascii() and read_text(table)[1] == "cp1252":
        return " The table was read as Windows-1252: save it as CSV in UTF-8 if its letters are others."
    return ""
