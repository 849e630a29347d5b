"""Numbers with their nouns, "2 images", and counts by reason, "not an image (2)"."""

from collections.abc import Mapping


def counted(n: int, one: str, many: str | None = None) -> str:
    """Return `n` with the words for one or for any other number; `many` is by default `one` with an s.

    The words may go on: `counted(n, "image is", "images are")`.
    """
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def by_reason(counts: Mapping[str, int]) -> str:
    """Return each reason with its count in brackets, separated by commas."""
    return ", ".join(f"{reason} ({n})" for reason, n in counts.items())
