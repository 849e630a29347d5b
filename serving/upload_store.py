"""Keeping uploads, for those who have switched it on: named by what they hold, never by what they are called."""

from pathlib import Path
from typing import Final

from coronet_core.data.image_files import BEGINNING_BYTES, kind_of
from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import write_whole
from serving.uploads import Upload

UNKNOWN: Final = "img"


class Keeper:
    """A folder of uploads, each once."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises DataError if that cannot be done."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise DataError(f"keep = {folder}: cannot be made ({error.strerror}). Give another folder.") from error
        self._folder = folder

    def keep(self, upload: Upload) -> None:
        """Write the file, for its owner alone, unless it is there."""
        path = self._folder / f"{upload.sha256}.{kind_of(upload.content[:BEGINNING_BYTES]) or UNKNOWN}"
        if not path.exists():
            write_whole(path, lambda partial: partial.write_bytes(upload.content), is_private=True)
