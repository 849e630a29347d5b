"""Names of the DICOM files of predictions, and the folder that holds nothing else. Light: no torch, no highdicom."""

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
    for path in map(Path, inputs):
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            raise DataError(
                f"{folder}: in {path}, which is searched for images: the next run would read the maps as X-rays. Give "
                "a folder elsewhere."
            )
