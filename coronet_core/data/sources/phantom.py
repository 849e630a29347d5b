"""Source `phantom`: procedural chest phantoms of the three classes, the embedded demo data set.

A phantom is a drawing of a frontal chest X-ray, not a simulation of one: body, lungs, ribs, spine, heart and
diaphragm as soft-edged shapes, with opacities as the classes have them in the textbooks. Healthy lungs have none;
pneumonia has one dense lobar consolidation, in lungs that fill badly; COVID-19 has several faint ground-glass patches
in both lungs, peripheral and low. Nuisance is the same for all classes: position, scale, exposure, noise, text
markers, several images of a patient. The same seed draws the same bytes.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from coronet_core.common.classes import ClassName
from coronet_core.common.seeds import derive_seed
from coronet_core.data.image_record import Box, Listing, Record

Canvas = NDArray[np.float64]  # (side, side), 0 air to 1 bone
MARKERS = ("L", "R", "PORTABLE", "AP", "SUPINE", "2")
MARKED_SHARE = 0.7
MAX_TILT_DEG = 5.0
"""Twice the standard deviation of how far patients lean."""
LICENCE = "CC0-1.0"
OVERSAMPLING = 1.5
"""Phantoms are drawn larger than they are used, as X-rays are: reading them exercises the resizing too."""
AERATION: dict[ClassName, tuple[float, float]] = {
    "healthy": (0.46, 0.52),
    "pneumonia": (0.34, 0.42),
    "covid19": (0.38, 0.46),
}
"""How much darker than the body the lungs are: full breaths are dark, splinted and wet lungs are grey."""


def records(patients: Mapping[ClassName, int], images_per_patient_max: int, image_size_px: int, seed: int) -> Listing:
    """List the phantoms of `patients[label]` patients of each class, 1 to `images_per_patient_max` images each."""
    side_px = int(image_size_px * OVERSAMPLING)
    found = []
    for label, n_patients in patients.items():
        for number in range(n_patients):
            patient = f"phantom-{label}-{number:04d}"
            anatomy = np.random.default_rng(derive_seed(seed, "phantom", patient))
            n_images = int(anatomy.integers(1, images_per_patient_max + 1))
            sex, age = str(anatomy.choice(["F", "M"])), float(anatomy.integers(20, 90))
            for image in range(n_images):
                identity = (seed, label, patient, image, side_px)
                found.append(
                    Record(
                        name=f"{label}/{number:04d}-{image}",
                        patient_id=patient,
                        label=label,
                        source="phantom",
                        read=partial(_encoded, *identity),
                        version="/".join(str(part) for part in identity),
                        view="PA",
                        sex=sex,
                        age=age,
                        licence=LICENCE,
                        opacity_boxes=draw(*identity)[1],
                    )
                )
    return Listing(records=found)


def _encoded(seed: int, label: ClassName, patient: str, image: int, side_px: int) -> bytes:
    """Return the phantom as a PGM file: the one grey format whose bytes depend on no encoder's version."""
    pixels, _ = draw(seed, label, patient, image, side_px)
    return f"P5 {side_px} {side_px} 255\n".encode() + pixels.tobytes()


def draw(
    seed: int, label: ClassName, patient: str, image: int, side_px: int
) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
    """Draw image number `image` of a patient: pixels (side_px, side_px) and the boxes of its opacities."""
    anatomy = np.random.default_rng(derive_seed(seed, "phantom", patient, "anatomy"))
    exposure = np.random.default_rng(derive_seed(seed, "phantom", patient, "image", image))
    return _Chest(anatomy, exposure, side_px).draw(label)


class _Chest:
    """One drawing. `anatomy` draws what belongs to the patient, `exposure` what belongs to the image."""

    def __init__(self, anatomy: np.random.Generator, exposure: np.random.Generator, side_px: int) -> None:
        self._anatomy = anatomy
        self._exposure = exposure
        self._side_px = side_px
        scale, shift = exposure.uniform(0.86, 1.08), exposure.uniform(-0.07, 0.07, size=2)
        tilt = np.deg2rad(exposure.normal(0, MAX_TILT_DEG / 2))
        steps = (np.arange(side_px) + 0.5) / side_px * 2 - 1
        across, down = (steps[None, :] - shift[0]) / scale, (steps[:, None] - shift[1]) / scale
        self._x = across * np.cos(tilt) + down * np.sin(tilt)  # body coordinates, -1 to 1 across the image
        self._y = down * np.cos(tilt) - across * np.sin(tilt)
        self._width = anatomy.uniform(0.86, 1.12)
        self._lung_height = anatomy.uniform(0.52, 0.68)

    def draw(self, label: ClassName) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
        body = self._ellipse(0, 0.25, 0.92 * self._width, 1.25, softness=0.04)
        lungs = self._lungs()
        aeration = self._anatomy.uniform(*AERATION[label])
        vessels = 0.06 * self._texture(0.05) + 0.045 * self._texture(0.015)
        chest = 0.62 * body - lungs * (aeration + vessels)
        chest += 0.06 * self._ribs() * body + 0.16 * self._spine_and_heart()
        opacities = self._opacities(label)
        for opacity, strength in opacities:
            chest += strength * opacity * lungs
        boxes = tuple(self._box(opacity * lungs) for opacity, _ in opacities)
        return self._expose(chest), boxes

    def _ellipse(self, x: float, y: float, half_width: float, half_height: float, softness: float) -> Canvas:
        radius = np.hypot((self._x - x) / half_width, (self._y - y) / half_height)
        return np.asarray(1 / (1 + np.exp((radius - 1) / softness)))

    def _texture(self, grain: float) -> Canvas:
        """Band-limited noise of unit variance; `grain` is its scale as a fraction of the image."""
        noise = gaussian_filter(self._anatomy.standard_normal(self._x.shape), grain * self._side_px)
        return np.asarray(noise / noise.std())

    def _lungs(self) -> Canvas:
        right, left = self._anatomy.uniform([0.29, 0.27], [0.36, 0.34]) * self._width  # half widths
        lungs = np.maximum(
            self._ellipse(-0.42 * self._width, 0.0, right, self._lung_height, softness=0.06),
            self._ellipse(0.42 * self._width, 0.0, left, self._lung_height, softness=0.06),
        )
        base, slope = self._anatomy.uniform(0.36, 0.46), self._anatomy.uniform(-0.08, 0.08)
        dome = 1 / (1 + np.exp((self._y - base - slope * self._x - 0.12 * (np.abs(self._x) - 0.4) ** 2) / 0.03))
        return np.asarray(lungs * dome)

    def _ribs(self) -> Canvas:
        spacing, start, bend = self._anatomy.uniform([0.15, 0.0, 0.25], [0.22, 1.0, 0.5])
        phase = start + (self._y + bend * (np.abs(self._x) - 0.15) ** 2) / spacing
        return np.asarray(np.clip(np.cos(2 * np.pi * phase), 0, 1))

    def _spine_and_heart(self) -> Canvas:
        bend, side = self._anatomy.uniform(-0.04, 0.04), self._anatomy.uniform(0.08, 0.20)
        spine = np.exp(-(((self._x - bend * np.cos(3 * self._y)) / self._anatomy.uniform(0.09, 0.13)) ** 2))
        heart = self._ellipse(side, self._anatomy.uniform(0.2, 0.32), self._anatomy.uniform(0.22, 0.38), 0.26, 0.08)
        return np.asarray(np.maximum(spine, 1.4 * heart))

    def _opacities(self, label: ClassName) -> list[tuple[Canvas, float]]:
        """Return the disease as shapes with their strengths, both the patient's own."""
        if label == "healthy":
            return []
        if label == "pneumonia":
            side = self._anatomy.choice([-1, 1])
            return [self._opacity(side * 0.40, self._anatomy.uniform(-0.25, 0.25), (0.22, 0.30), (0.56, 0.70), 0.18)]
        n_patches = int(self._anatomy.integers(2, 4))
        return [
            self._opacity(side * 0.52, self._anatomy.uniform(-0.10, 0.36), (0.11, 0.17), (0.24, 0.34), 0.25)
            for side in (-1, 1)
            for _ in range(n_patches)
        ]

    def _opacity(
        self, x: float, y: float, size: tuple[float, float], strength: tuple[float, float], softness: float
    ) -> tuple[Canvas, float]:
        half_width, half_height = self._anatomy.uniform(*size, size=2)
        shape = self._ellipse(x * self._width, y, half_width, half_height * 1.3, softness)
        return shape * (1 + 0.2 * self._texture(0.03)).clip(0), self._anatomy.uniform(*strength)

    def _box(self, opacity: Canvas) -> Box:
        rows, columns = np.nonzero(opacity > 0.5 * opacity.max())
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        return tuple(float(edge) / self._side_px for edge in (left, top, right, bottom))  # type: ignore[return-value]

    def _expose(self, chest: Canvas) -> NDArray[np.uint8]:
        rng = self._exposure
        blurred = gaussian_filter(chest.clip(0, 1), 0.004 * self._side_px)
        exposed = 0.04 + rng.uniform(0.85, 1.05) * blurred ** rng.uniform(0.9, 1.12)
        exposed += rng.normal(0, rng.uniform(0.008, 0.02), size=exposed.shape)
        pixels = (exposed.clip(0, 1) * 255).round().astype(np.uint8)
        return self._with_marker(pixels) if rng.random() < MARKED_SHARE else pixels

    def _with_marker(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        rng = self._exposure
        image = Image.fromarray(pixels)
        corner = (float(rng.choice([0.03, 0.80])) * self._side_px, float(rng.uniform(0.03, 0.10)) * self._side_px)
        text = str(rng.choice(MARKERS))
        ImageDraw.Draw(image).text(corner, text, fill=235, font=ImageFont.load_default_imagefont())
        return np.asarray(image)
