"""Images as programs have them, against the same images as files."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coronet_core.common.literals import Aspect
from coronet_core.data.reading.image import decode
from coronet_core.data.reading.radiograph import MAX_PIXELS
from coronet_core.data.sources.phantom import draw
from tasks.inference.input.image_file import FileContent
from tasks.inference.input.in_memory import content_of, encoded

PIXELS, _ = draw(0, "covid19", "patient", 0, 96)


def png(array: "np.ndarray[Any, Any]") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def taken(value: Any, *, reads_paths: bool = False) -> FileContent:
    return content_of(value, "image", reads_paths=reads_paths)


def pixels_of(content: bytes) -> "np.ndarray[Any, Any]":
    return decode(content, 64, Aspect.STRETCH).pixels


@pytest.mark.parametrize(
    "array",
    [
        PIXELS,
        PIXELS.astype(np.uint16) * 257,
        np.dstack([PIXELS] * 3),
        np.dstack([PIXELS] * 3 + [np.full_like(PIXELS, 200)]),
    ],
    ids=["8 bit", "16 bit", "RGB", "RGBA"],
)
def test_an_array_is_read_as_a_png_of_it_is(array: "np.ndarray[Any, Any]") -> None:
    np.testing.assert_array_equal(pixels_of(encoded(array)), pixels_of(png(array)))


@pytest.mark.parametrize("kind", ["uint32", "int16", "int32", "int64", "float16", "float32", "float64"])
def test_grey_values_of_any_type_are_stretched_as_those_of_16_bits_are(kind: str) -> None:
    expected = pixels_of(png(PIXELS.astype(np.uint16)))
    np.testing.assert_array_equal(pixels_of(encoded(PIXELS.astype(kind))), expected)


@pytest.mark.parametrize("scale", [1, 16, 257], ids=["8 bit", "12 bit", "16 bit"])
@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_colours_of_any_depth_are_stretched_together(kind: str, scale: int) -> None:
    tinted = np.dstack([PIXELS, PIXELS, PIXELS // 2 + 1])
    stretched = (tinted.astype(np.float32) - tinted.min()) * (255 / (tinted.max() - tinted.min()))
    found = pixels_of(encoded(tinted.astype(kind) * np.dtype(kind).type(scale)))
    np.testing.assert_allclose(found, pixels_of(png(stretched.round().astype(np.uint8))), atol=1)


@pytest.mark.parametrize(("kind", "opaque"), [("uint16", 65535), ("float32", 1.0)])
def test_what_is_transparent_is_black(kind: str, opaque: float) -> None:
    alpha = np.where(np.arange(96)[:, None] < 48, opaque, 0) * np.ones((96, 96))
    found = pixels_of(encoded(np.dstack([PIXELS] * 3 + [alpha]).astype(kind)))
    assert found[40:].max() == 0
    assert found[:24].std() > 1


def test_a_mask_is_black_and_white() -> None:
    assert set(np.unique(pixels_of(encoded(np.eye(64, dtype=bool))))) == {0, 255}


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(5), "an array of shape (5,)"),
        (np.zeros((4, 4, 2)), "an array of shape (4, 4, 2)"),
        (np.zeros((2, 4, 4, 3)), "an array of shape (2, 4, 4, 3)"),
        (np.zeros((0, 7)), "an array of shape (0, 7)"),
        (np.full((9, 9), np.nan), "non-finite"),
        (np.full((9, 9), "x"), "an array of <U1"),
        (np.zeros((9, 9), complex), "an array of complex128"),
        (np.broadcast_to(np.uint8(0), (MAX_PIXELS, 2)), f"an array of {2 * MAX_PIXELS} pixels"),
        ([[1, 2], [3]], "nested lists of unequal lengths"),
        (None, "a NoneType"),
        (7, "a int"),
    ],
)
def test_what_is_no_image_says_so(array: Any, reason: str) -> None:
    found = taken(array)
    assert reason in str(found.error)
    assert found.content == b""


@pytest.mark.parametrize("value", [png(PIXELS), bytearray(png(PIXELS)), memoryview(png(PIXELS))])
def test_bytes_are_an_encoded_image(value: Any) -> None:
    assert taken(value) == FileContent("image", png(PIXELS))


@pytest.mark.parametrize("text", [base64.b64encode(png(PIXELS)).decode(), base64.encodebytes(png(PIXELS)).decode()])
def test_base64_text_is_an_encoded_image_in_one_line_or_many(text: str) -> None:
    assert taken(text) == FileContent("image", png(PIXELS))


def test_nested_lists_are_an_array() -> None:
    np.testing.assert_array_equal(pixels_of(taken(PIXELS.tolist()).content), pixels_of(encoded(PIXELS.astype(int))))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "scan.png").write_bytes(png(PIXELS))
    return tmp_path / "scan.png"


def test_a_path_is_read(file: Path) -> None:
    assert taken(file) == FileContent("image", png(PIXELS))


def test_a_string_names_a_file_only_where_the_caller_says_so(file: Path) -> None:
    assert taken(str(file), reads_paths=True) == FileContent("image", png(PIXELS))
    refused = taken(str(file))
    assert refused.content == b""
    assert "Paths are not read from strings" in str(refused.error)


@pytest.mark.parametrize("reads_paths", [True, False])
@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/hostname",
        "FILE:/etc/hostname",
        " http://127.0.0.1:9/",
        "https://localhost",
        "s3://bucket/key",
        "data:,x",
    ],
)
def test_an_address_is_refused(address: str, reads_paths: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    assert "a URL. URLs are not fetched" in str(taken(address, reads_paths=reads_paths).error)


@pytest.mark.parametrize("text", ["not base64!", "ä", "a" * 10_000 + "!", "\0", "abc"])
@pytest.mark.parametrize("reads_paths", [True, False])
def test_other_text_is_refused(text: str, reads_paths: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    assert "base64 text" in str(taken(text, reads_paths=reads_paths).error)


def test_a_path_of_nothing_says_so(tmp_path: Path) -> None:
    assert "cannot be opened" in str(taken(tmp_path / "none.png").error)


@pytest.mark.parametrize("kind", [bytes, str])
def test_what_is_too_large_is_not_decoded(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.inference.input.in_memory.MAX_FILE_BYTES", 99)
    value = b"A" * 400 if kind is bytes else "A" * 400
    assert "too large" in str(taken(value).error)
