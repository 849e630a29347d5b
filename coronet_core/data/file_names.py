"""Names of files and folders that come from outside: a table of labels, a registry, another host.

A path made of such a text stays in the folder that it is put into.
"""

from pathlib import PurePosixPath

from coronet_core.support.errors import DataError

MAX_SHOWN = 80


def file_name(text: str, what: str) -> str:
    """Return `text` if it is the name of one file or folder; `what` is what an error calls it.

    Raises DataError for a path of several parts, for a beginning of `-`, which programs take for an option, and as
    `relative_path` does.
    """
    if "/" in text or "\\" in text:
        raise _refused(text, what, "a name has no separators")
    if text.startswith("-"):
        raise _refused(text, what, "it would be taken for an option")
    return relative_path(text, what)


def relative_path(text: str, what: str) -> str:
    """Return `text` if it is a path below the folder that it is joined to; `what` is what an error calls it.

    Raises DataError if it is empty or absolute, leads out by `..`, or holds control characters.
    """
    path = PurePosixPath(text)
    if not path.parts:
        raise _refused(text, what, "it names nothing")
    if path.is_absolute():
        raise _refused(text, what, "an absolute path")
    if ".." in path.parts:
        raise _refused(text, what, "it leads out of its folder")
    if any(ord(one) < ord(" ") or ord(one) == 0x7F for one in text):  # noqa: PLR2004  # delete
        raise _refused(text, what, "it holds control characters")
    return text


def _refused(text: str, what: str, reason: str) -> DataError:
    return DataError(f"{what} {text[:MAX_SHOWN]!r} is refused: {reason}. Correct it at its origin.")
