"""Leaving out of a PNG what the pixels do not need: text and colour profiles, which readers stumble over."""

import zlib
from collections.abc import Iterator
from typing import Final

from coronet_core.data.notes import Note

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
NEVER_NEEDED: Final = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
FRAME_BYTES: Final = 12
"""Length, type and checksum of a chunk, around its data."""
LARGE_BYTES: Final = 2**20
"""Inflated. Pillow refuses files with larger profiles and texts."""


def without_ancillary_chunks(content: bytes) -> tuple[bytes, list[Note]]:
    """Return a PNG without text, profiles and damaged optional chunks, and what there is to say of them.

    Other files, and what is behind a place where no chunk can be told, come back as they are.
    """
    notes: dict[Note, None] = {}
    if not content.startswith(SIGNATURE):
        return content, []
    kept = [SIGNATURE]
    end = len(SIGNATURE)  # of the last chunk that is whole
    for start, end in _places(content):
        chunk = content[start:end]
        kind, data = chunk[4:8], chunk[8:-4]
        is_damaged = kind[:1].islower() and zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:])
        if is_damaged:
            notes[Note.CHUNK] = None
        elif kind in NEVER_NEEDED and _is_large(data):
            notes[Note.PROFILE] = None
        if not is_damaged and kind not in NEVER_NEEDED:
            kept.append(chunk)
    return b"".join([*kept, content[end:]]), list(notes)


def _places(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each whole chunk begins and ends."""
    start = len(SIGNATURE)
    while start + FRAME_BYTES <= len(content):
        end = start + FRAME_BYTES + int.from_bytes(content[start : start + 4])
        if end > len(content):
            return
        yield start, end
        start = end


def _is_large(data: bytes) -> bool:
    """Say whether a text or profile is large, deflated (behind its name and a byte or more) or plain."""
    if len(data) > LARGE_BYTES:
        return True
    _, _, packed = data.partition(b"\0")
    try:
        return len(zlib.decompressobj().decompress(packed[1:], LARGE_BYTES + 1)) > LARGE_BYTES
    except zlib.error:  # not deflated
        return False
