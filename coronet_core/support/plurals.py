"""Numbers with their nouns: "1 image", "2 images"."""


def counted(n: int, one: str, many: str | None = None) -> str:
    """Return `n` with the words for one or for any other number; `many` is by default `one` with an s.

    The words may go on: `counted(n, "image is", "images are")`.
    """
    return f"{n} {one if n == 1 else many or f'{one}s'}"
