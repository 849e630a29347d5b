"""Archives unpacked file by file: whole files only, and what is there is not unpacked again."""

import shutil
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import write_whole
from tasks.runtime.progress import Progress


def unpack(archive: Path, folder: Path, place: Callable[[PurePosixPath], PurePosixPath | None]) -> int:
    """Unpack into `folder` the members that `place` gives a relative path there; returns their number.

    A member of which the same file is there is skipped. Each file's checksum is compared on the way. Raises
    DataError for what is no archive, a damaged one, or a folder that cannot be written to.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [(member, place(PurePosixPath(member.filename))) for member in content.infolist()]
            wanted = [(member, folder / path) for member, path in members if path is not None and not member.is_dir()]
            with Progress("unpacking", len(wanted), "files") as bar:
                for member, target in wanted:
                    if not _is_there(member, target):
                        write_whole(target, partial(_extract, content, member), durable=False)  # see _is_there
                    bar.advance()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive}: not a whole zip archive ({error}). Delete it and fetch it again.") from error
    except OSError as error:
        raise DataError(
            f"{archive}: cannot be unpacked into {folder} ({error}). Free some space there and try again."
        ) from error
    return len(wanted)


def _is_there(member: zipfile.ZipInfo, target: Path) -> bool:
    if not target.is_file() or target.stat().st_size != member.file_size:
        return False
    return zlib.crc32(target.read_bytes()) == member.CRC


def _extract(content: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    with content.open(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
