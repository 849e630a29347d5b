"""Which files are images: by suffix, by first bytes, and what is never one."""

import io

import numpy as np
import pytest
from PIL import Image

from coronet_core.data.file_kinds import kind_of
from coronet_core.data.image_files import find_images, is_companion
from coronet_core.data.segmentation_masks import without_masks

DICOM = bytes(128) + b"DICM"
UID = "1.2.826.0.1.3680043.8.498.56242119308373017703540158726961484181"


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(buffer, kind)
    return buffer.getvalue()


def found(contents: dict[str, bytes]) -> tuple[list[str], dict[str, int]]:
    images = find_images(contents, contents.__getitem__)
    return images.names, dict(images.passed_over)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("PNG", "png"),
        ("JPEG", "jpg"),
        ("TIFF", "tif"),
        ("BMP", "bmp"),
        ("GIF", "gif"),
        ("WEBP", "webp"),
        ("JPEG2000", "jp2"),
        ("PPM", "pgm"),
    ],
)
def test_every_format_is_known_by_its_first_bytes(kind: str, expected: str) -> None:
    assert kind_of(encoded(kind)[:132]) == expected


@pytest.mark.parametrize(
    "beginning",
    [
        DICOM,
        b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100",  # without a preamble, explicit VR
        b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100",  # implicit VR
    ],
)
def test_dicom_is_known_with_and_without_its_preamble(beginning: bytes) -> None:
    assert kind_of(beginning) == "dcm"


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"file,label\na.png,healthy\n",
        b"BMI and age of all patients\n",
        b"P5 is the fifth patient\n",
        b"GIF of the week",
        b"\x08\x00\x00\x00\x00\x00\x00\x00" + bytes(124),  # numbers of 32 bits, the first one 8
        b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X    ",
        b"RIFF\x24\x08\x00\x00WAVEfmt ",
    ],
)
def test_what_only_resembles_an_image_is_none(beginning: bytes) -> None:
    assert kind_of(beginning) is None


@pytest.mark.parametrize("name", [UID, "IM0001", "scan.IMA", "scan.dicm", "scan.DCM.bak", "scan."])
def test_dicom_is_listed_whatever_it_is_called(name: str) -> None:
    assert found({f"healthy/{name}": DICOM}) == ([f"healthy/{name}"], {})


def test_a_suffix_of_images_is_believed_and_its_file_not_opened() -> None:
    images = find_images(["b.PNG", "a.DICOM"], lambda name: pytest.fail(f"{name} was opened"))
    assert images.names == ["a.DICOM", "b.PNG"]


def test_a_file_that_cannot_be_opened_is_listed_so_that_reading_it_says_why() -> None:
    def refuse(name: str) -> bytes:
        raise PermissionError(name)

    assert find_images(["IM0001"], refuse).names == ["IM0001"]


def test_what_is_passed_over_is_counted_by_reason() -> None:
    contents = {
        "a.png": b"",
        "masks/a.png": b"",
        "notes.txt": b"text",
        "._a.png": b"",
        ".DS_Store": b"",
        "Thumbs.db": b"",
    }
    assert found(contents) == (["a.png"], {"hidden or companion file": 3, "not an image": 1, "mask beside images": 1})


@pytest.mark.parametrize(
    "name",
    [
        *(
            "healthy/._a.png",
            "__MACOSX/healthy/._a.png",
            "__MACOSX/healthy/a.png",
            "healthy/@eaDir/a.png/SYNO_THUMB_M.jpg",
        ),
        *("healthy/.ipynb_checkpoints/a-checkpoint.png", ".git/objects/a.png", ".dvc/tmp/a", ".a.png"),
        *("healthy/THUMBS.DB", "Desktop.ini", "DICOMDIR", "#recycle/a.png", "healthy/a.png~", "a.png.crdownload"),
    ],
)
def test_hidden_files_and_those_of_systems_are_no_images(name: str) -> None:
    assert is_companion(name)
    assert found({name: encoded("PNG")}) == ([], {"hidden or companion file": 1})


@pytest.mark.parametrize("name", ["healthy/a.png", "healthy/a..png", "tmp/a.png", "thumbs/a.png", "a.part.png"])
def test_other_names_are_no_companions(name: str) -> None:
    assert not is_companion(name)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("COVID/images/COVID-1.png", "COVID/masks/COVID-1.png"),  # the COVID-19 Radiography Database
        ("CXR_png/MCUCXR_0001_0.png", "ManualMask/leftMask/MCUCXR_0001_0.png"),  # Montgomery
        ("CXR_png/CHNCXR_0001_0.png", "mask/CHNCXR_0001_0_mask.png"),  # Shenzhen
        ("healthy/images/1.png", "healthy/lung masks/1.png"),  # COVID-QU-Ex
        ("healthy/1.png", "healthy/lung_segmentation/1.png"),
        ("healthy/1.png", "healthy/masks_256/1.png"),
        ("healthy/1.png", "healthy/GT/1.png"),
        ("healthy/1.png", "healthy/mask_1.png"),
        ("healthy/1.png", "healthy/1_mask_left.png"),
        ("healthy/1.png", "healthy/1.png_mask.png"),
        ("covid19/images/1.png", "covid19/infection masks/1.png"),
        ("imagesTr/1_0000.png", "labelsTr/1.png"),  # nnU-Net
        ("Images/1.png", "Ground-truths/mask_1.png"),  # QaTa-COV19
        ("healthy/1.png", "healthy/lungmask/1.png"),
        ("healthy/1.png", "healthy/1_mask.png"),
        ("healthy/1.jpg", "healthy/1-lung-mask.png"),
    ],
)
def test_masks_beside_images_are_left_out(image: str, mask: str) -> None:
    assert without_masks([image, mask]) == ([image], 1)


@pytest.mark.parametrize(
    "names",
    [
        ["masks/1.png", "masks/2.png"],  # beside nothing: who names such a folder wants it
        ["healthy/without_mask/1.png", "healthy/2.png"],
        ["healthy/with_mask/1.png", "healthy/2.png"],
        ["healthy/1_mask.png", "healthy/2.png"],
        ["covid19/masked/1.png", "covid19/2.png"],
        ["a/masks/1.png", "b/images/1.png"],
    ],
)
def test_other_images_are_no_masks(names: list[str]) -> None:
    assert without_masks(names) == (names, 0)
