"""The size that compressed pixels themselves state: a decoder goes by that one, whatever the header around them says.

JPEG (ITU-T T.81 B.1 and B.2.2), JPEG-LS (T.87 C.2) and JPEG 2000 (T.800 A.5.1). Nothing is decoded.
"""

import re
import struct
from typing import Final

JPEG: Final = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
JPEG_2000: Final = re.compile(rb"\xff\x4f\xff\x51")
FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Second bytes of the markers of a frame, which has a size; the others in this range are tables."""
WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
SCAN, END = b"\xff\xda", b"\xff\xd9"
MAX_SCANS: Final = 100
"""Each goes over all pixels, and a hundred bytes of file are enough for one."""


def stated_pixels(content: bytes) -> int:
    """Return the pixels that the first JPEG, JPEG-LS or JPEG 2000 stream in `content` states; 0 if there is none."""
    found = JPEG_2000.search(content)
    of_newer = 0 if found is None else _of_jpeg_2000(content, found.end())
    frame = _frame(content)
    if frame is None:
        return of_newer
    height, width = struct.unpack_from(">HH", content, frame + 5)
    return max(of_newer, int(height * width))


def n_scans(content: bytes) -> int:
    """Return how often the first JPEG in `content` goes over its pixels: once, or as a progressive one some ten times.

    Thumbnails before its frame and what is behind its end, such as a film by a phone, do not count.
    """
    frame = _frame(content)
    if frame is None:
        return 0
    end = content.find(END, frame)
    return content.count(SCAN, frame, len(content) if end < 0 else end)


def _of_jpeg_2000(content: bytes, start: int) -> int:
    """Return width times height by the segment SIZ, whose length is at `start`."""
    try:
        right, bottom, left, top = struct.unpack_from(">4I", content, start + 4)
    except struct.error:
        return 0
    return int(max(right - left, 0) * max(bottom - top, 0))


def _frame(content: bytes) -> int | None:
    """Return where the marker of the first JPEG's first frame is, its size complete; None if there is none."""
    if (found := JPEG.search(content)) is None:
        return None
    start = found.start() + 2
    while start + 9 <= len(content) and content[start] == 0xFF:  # noqa: PLR2004  # every marker begins so
        kind = content[start + 1]
        if kind in FRAMES:
            return start
        if kind == 0xFF:  # noqa: PLR2004  # fill bytes
            start += 1
        else:
            start += 2 if kind in WITHOUT_LENGTH else 2 + int.from_bytes(content[start + 2 : start + 4])
    return None
