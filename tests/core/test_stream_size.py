"""What compressed pixels state of their size, whatever the header around them says."""

import io
import struct

import pydicom
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit

from coronet_core.common.literals import Aspect
from coronet_core.data.reading.image import decode
from coronet_core.data.reading.stream_size import MAX_SCANS, SCAN, n_scans, stated_pixels
from coronet_core.support.errors import DataError
from tests.core.test_dicom import PIXELS, compressed, dicom, saved

HUGE = 65_535


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[:, :80].copy()).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        encoded("JPEG"),
        encoded("JPEG", progressive=True, comment=b"\xff\xd8\xff\xc0 no frame", exif=Image.Exif()),
        encoded("JPEG2000"),
        encoded("JPEG2000", no_jp2=True),
    ],
    ids=["baseline", "progressive behind a comment", "boxed", "stream"],
)
def test_the_size_of_a_stream_is_read(content: bytes) -> None:
    assert stated_pixels(content) == 96 * 80


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x04ab", b"\xff\x4f\xff\x51\x00"])
def test_half_a_stream_states_nothing(content: bytes) -> None:
    assert stated_pixels(content) == 0


def inflated(content: bytes, kind: str) -> bytes:
    """A DICOM file whose pixels' own size is changed to HUGE x HUGE: the header goes on saying 96 x 96."""
    if kind == "JPEG 2000":
        place = content.index(b"\xff\x4f\xff\x51") + 8
        return content[:place] + struct.pack(">2I", HUGE, HUGE) + content[place + 8 :]
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">2H", HUGE, HUGE) + content[place + 4 :]


def baseline() -> bytes:
    header = dicom()
    header.PixelData = pydicom.encaps.encapsulate([encoded("JPEG")])
    header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    header["PixelData"].VR = "OB"
    header.Columns = 80
    return saved(header)


@pytest.mark.parametrize("reading", [1, 2])
@pytest.mark.parametrize("kind", ["JPEG 2000", "JPEG"])
def test_a_small_header_around_a_huge_stream_is_refused(kind: str, reading: int) -> None:
    content = compressed(JPEG2000Lossless, dicom()) if kind == "JPEG 2000" else baseline()
    assert decode(content, 64, Aspect.STRETCH, reading).size_bytes == len(content)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="decompression bomb"):
        decode(inflated(content, kind), 64, Aspect.STRETCH, reading)  # type: ignore[arg-type]


@pytest.mark.parametrize("reading", [1, 2])
def test_a_jpeg_that_goes_over_its_pixels_too_often_is_refused(reading: int) -> None:
    content = encoded("JPEG", progressive=True)
    scans = n_scans(content)
    assert 1 < scans < MAX_SCANS
    last = content[content.rindex(SCAN) : -2]
    again = content[:-2] + (MAX_SCANS + 1 - scans) * last + content[-2:]
    with pytest.raises(DataError, match="more than 100 scans"):
        decode(again, 64, Aspect.STRETCH, reading)  # type: ignore[arg-type]


@pytest.mark.parametrize("reading", [1, 2])
def test_what_a_phone_puts_behind_a_jpeg_is_no_scan(reading: int) -> None:
    content = encoded("JPEG") + 2 * MAX_SCANS * SCAN
    assert decode(content, 64, Aspect.STRETCH, reading).upright_px == (80, 96)  # type: ignore[arg-type]


def test_a_header_of_too_many_elements_is_refused() -> None:
    header = dicom()
    for number in range(20_001):
        header.add_new((0x0009 + 2 * (number // 0xF000), number % 0xF000), "UN", b"")
    with pytest.raises(DataError, match="more than 20000 elements"):
        decode(saved(header), 64, Aspect.STRETCH, 2)
