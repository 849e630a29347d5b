"""Text from outside in terminals and logs."""


def printable(text: str) -> str:
    """Return `text` with escapes for what a terminal would obey: colours, moves of its cursor, the writing direction.

    The result is one line.
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
