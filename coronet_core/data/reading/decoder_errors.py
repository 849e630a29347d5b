"""Naming what decoders raise, and only they: a fault of our own code passes through."""

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from coronet_core.support.errors import DataError


@contextmanager
def image_faults() -> Iterator[None]:
    """Turn what Pillow raises into a DataError. Only calls of Pillow belong inside."""
    try:
        yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("not an image") from error
    except Image.DecompressionBombError as error:
        raise DataError("decompression bomb") from error
    except Exception as error:  # Pillow's decoders raise whatever they please
        raise DataError(f"truncated or damaged image ({error or type(error).__name__})") from error


@contextmanager
def dicom_faults() -> Iterator[None]:
    """Turn what pydicom raises into a DataError that quotes no value. Only calls of pydicom belong inside."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # pydicom and its handlers raise whatever they please, often with header values
        raise DataError(f"truncated or damaged DICOM ({type(error).__name__})") from error
