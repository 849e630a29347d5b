"""Near-identical images are found, in less time than comparing all with all, and other images are not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from coronet_core.data.sources import phantom
from coronet_core.data.splitting.duplicates import MAX_DISTANCE, candidates, near_duplicates, perceptual_hash


def chest(patient: int) -> Image.Image:
    return Image.fromarray(phantom.draw(5, "healthy", f"p{patient}", 0, 256)[0])


def saved_again(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer).convert("L")


def trimmed(image: Image.Image) -> Image.Image:
    return image.crop((2, 2, image.width - 2, image.height - 2))


def pairs_among(images: list[Image.Image]) -> set[tuple[int, int]]:
    stack = np.stack([np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)) for image in images])
    hashes = [perceptual_hash(image) for image in stack]
    return {(int(a), int(b)) for a, b in near_duplicates(hashes, lambda positions: stack[positions])}


@pytest.mark.parametrize(
    "change",
    [
        saved_again,
        trimmed,
        lambda image: image.resize((90, 90), Image.Resampling.LANCZOS),
        lambda image: ImageEnhance.Brightness(image).enhance(0.7),
        lambda image: ImageEnhance.Contrast(image).enhance(1.4),
    ],
    ids=["jpeg", "trimmed", "smaller", "darker", "contrast"],
)
def test_the_same_image_is_found_in_another_guise(change: Callable[[Image.Image], Image.Image]) -> None:
    images = [chest(patient) for patient in range(8)]
    assert pairs_among([*images, change(images[3])]) == {(3, 8)}


def test_other_patients_are_no_duplicates() -> None:
    assert pairs_among([chest(patient) for patient in range(40)]) == set()


hashes = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20)
flips = st.lists(st.sets(st.integers(0, 63), max_size=MAX_DISTANCE + 2), max_size=20)


@given(hashes, flips)
def test_candidates_are_exactly_the_pairs_within_the_distance(values: list[int], changes: list[set[int]]) -> None:
    near = [value ^ sum(1 << bit for bit in bits) for value, bits in zip(values, changes, strict=False)]
    both = values + near
    expected = {(i, j) for j in range(len(both)) for i in range(j) if (both[i] ^ both[j]).bit_count() <= MAX_DISTANCE}
    assert {(int(a), int(b)) for a, b in candidates(np.array(both, dtype=np.uint64))} == expected


def test_far_fewer_pairs_are_compared_than_there_are_even_of_images_that_are_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hashes like those of chests: half of the bits agree in nine of ten images."""
    rng = np.random.default_rng(0)
    often = np.where(np.arange(64) % 2, 0.9, 0.5)
    bits = (rng.random((10_000, 64)) < often).astype(np.uint64)
    values = (bits << np.arange(64, dtype=np.uint64)).sum(1, dtype=np.uint64)
    compared = [0]
    bitwise_count = np.bitwise_count

    def counting(bits: np.ndarray) -> np.ndarray:
        compared[0] += bits.size
        return bitwise_count(bits)

    monkeypatch.setattr(np, "bitwise_count", counting)
    candidates(values)
    assert 0 < compared[0] < len(values) ** 2 / 8


def test_only_a_few_images_are_held_at_their_full_size() -> None:
    asked: list[int] = []

    def images_at(positions: np.ndarray) -> np.ndarray:
        asked.append(len(positions))
        return np.zeros((len(positions), 64, 64), dtype=np.uint8)

    near_duplicates(["0" * 16] * 100, images_at)
    assert max(asked) <= 64
    assert sum(asked) >= 100
