"""Names of the DICOM files of predictions, and the folder that holds nothing else. Light: no torch, no highdicom."""

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from coronet_core.support.errors import DataError

INDEX: Final = "index.csv"
OURS: Final = re.compile(r"index\.csv|(SR|SC)\.2\.25\.[0-9]+\.dcm|\..*", re.ASCII)


def file_name(kind: str, uid: str) -> str:
    """Return the name of a result's file: it says what it is and which, and nothing of a patient or of a file."""
    return f"{kind}.{uid}.dcm"


def require_report_folder(folder: Path, inputs: Sequence[str]) -> None:
    """Raise DataError if `folder` is a file, has anything but such results, or would be searched for images itself."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: a file. DICOM results are written to a folder: give another name.")
    for path in folder.iterdir() if folder.is_dir() else ():
        if OURS.fullmatch(path.name) is None:
            raise DataError(
                f"{folder}: contains {path.name}, so it is not a folder of DICOM results. Give another name."
            )
    for searched in inputs:
        if _is_searched(folder, searched):
            raise DataError(
                f"{folder}: in {searched}, which is searched for images: the next run would read the maps as X-rays. "
                "Give a folder elsewhere."
            )


def _is_searched(folder: Path, path: str) -> bool:
    """Return whether a result in `folder` would be found by `path`: a folder, or a pattern of files or folders."""
    if Path(path).is_dir():
        return folder.resolve().is_relative_to(Path(path).resolve())
    pattern = Path.cwd().joinpath(path).parts
    result = folder.resolve() / file_name("SC", "2.25.1")
    return any(_matches(pattern, place.parts) for place in (result, *result.parents))


def _matches(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether the parts of a pattern, ** among them, match those of a path."""
    if not pattern:
        return not names
    if pattern[0] == "**":
        return any(_matches(pattern[1:], names[n:]) for n in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], pattern[0]) and _matches(pattern[1:], names[1:])
