"""What a file will cost to decode is known, or overestimated, before it is decoded."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from coronet_core.data.isolated_decoding.decoding_cost import pixels_to_decode
from coronet_core.data.reading.radiograph import MAX_PIXELS
from tests.core.test_dicom import compressed, dicom

SIDE = 96
LARGE = (9000, 9001)


def encoded(kind: str, size: tuple[int, int] = (SIDE, SIDE)) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "JPEG2000", "TIFF", "GIF"])
def test_what_a_file_states_is_taken(kind: str) -> None:
    assert pixels_to_decode(encoded(kind)) == SIDE * SIDE


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless, ExplicitVRLittleEndian])
def test_what_a_dicom_states_is_taken(syntax: object) -> None:
    header = dicom()
    buffer = io.BytesIO()
    header.save_as(buffer)
    content = buffer.getvalue() if syntax == ExplicitVRLittleEndian else compressed(syntax, header)  # type: ignore[arg-type]
    assert pixels_to_decode(content) == SIDE * SIDE


def test_what_a_dicom_without_vrs_states_is_taken() -> None:
    header = dicom()
    header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    buffer = io.BytesIO()
    header.save_as(buffer, implicit_vr=True, little_endian=True, enforce_file_format=True)
    assert pixels_to_decode(buffer.getvalue()) == SIDE * SIDE


@pytest.mark.parametrize("kind", ["BMP", "WEBP", "PPM"])
def test_what_a_file_does_not_state_is_overestimated(kind: str) -> None:
    assert pixels_to_decode(encoded(kind)) >= SIDE * SIDE


def test_a_header_that_is_packed_is_overestimated() -> None:
    header = dicom()
    header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    buffer = io.BytesIO()
    header.save_as(buffer)
    assert pixels_to_decode(buffer.getvalue()) >= SIDE * SIDE


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_no_file_costs_more_than_the_largest_that_is_decoded(kind: str) -> None:
    assert pixels_to_decode(encoded(kind, LARGE)) == MAX_PIXELS


@pytest.mark.parametrize("n_bytes", range(0, 40, 3))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF"])
def test_half_a_file_costs_something_bounded(kind: str, n_bytes: int) -> None:
    assert 0 <= pixels_to_decode(encoded(kind)[:n_bytes]) <= MAX_PIXELS


def test_noise_costs_something_bounded() -> None:
    noise = np.random.default_rng(0).bytes(10_000)
    assert 0 <= pixels_to_decode(noise) <= MAX_PIXELS
