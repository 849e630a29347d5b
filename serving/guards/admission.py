"""How much may wait to be decoded: pixels are counted before anything is, and beyond a limit a request is refused."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from coronet_core.data.isolated_decoding.decoding_cost import pixels_to_decode
from serving.problems import Problem, too_busy
from serving.uploads import Upload

MEGA: Final = 1e6


class Admission:
    """The pixels that are being decoded or wait for it."""

    def __init__(self, megapixels: float) -> None:
        """Admit `megapixels` at once."""
        self._limit = megapixels * MEGA
        self._admitted = 0

    @contextmanager
    def admitted(self, uploads: Sequence[Upload]) -> Iterator[None]:
        """Count the pixels of `uploads` as waiting. Raises Problem: 413 if they never fit, 503 if they do not now."""
        pixels = sum(pixels_to_decode(upload.content) for upload in uploads)
        if pixels > self._limit:
            detail = f"More than {self._limit / MEGA:g} megapixels. Send fewer or smaller images at once."
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, reason="too_many_pixels")
        if self._admitted + pixels > self._limit:
            raise too_busy("Too many images wait to be decoded")
        self._admitted += pixels
        try:
            yield
        finally:
            self._admitted -= pixels
