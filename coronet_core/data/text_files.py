"""Text as editors and spreadsheets save it: UTF-8 and UTF-16, with and without a byte order mark, or Windows-1252."""

import codecs
import gzip
import zlib
from pathlib import Path
from typing import Final

from coronet_core.support.errors import DataError

MARKS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How Excel's files begin, new and old; LibreOffice's too."""
SAVE_AS: Final = "Save it as CSV in UTF-8."


def read_text(path: Path) -> tuple[str, str]:
    """Return the text of a file (a .gz too) and the name of its encoding.

    Raises DataError, with the remedy, for what cannot be opened, a workbook, and bytes that are no text.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a readable text file ({error}).") from error
    if content.startswith(WORKBOOKS):
        raise DataError(f"{path}: a workbook or an archive, not a text file. {SAVE_AS}")
    likely = _encoding_of(content)
    for encoding in (likely, "cp1252") if likely == "utf-8" else (likely,):
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise DataError(f"{path}: neither UTF-8, UTF-16 nor Windows-1252. {SAVE_AS}")


def _encoding_of(content: bytes) -> str:
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            return encoding
    if content[1:2] == b"\0" and content[:1] != b"\0":  # UTF-16 of Latin letters without its mark
        return "utf-16-le"
    return "utf-16-be" if content[:1] == b"\0" and content[1:2] != b"\0" else "utf-8"
