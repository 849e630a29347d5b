"""Texts without the credentials of the addresses in them: logs, errors and pages are read by more people than those."""

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any, Final

HIDDEN: Final = "***"
SCHEME: Final = r"\b[a-zA-Z][a-zA-Z0-9+.-]*://"
END: Final = r"\s\"'<>`"
"""Characters that no address holds as they are."""
USER: Final = re.compile(
    rf"({SCHEME})"
    rf"(?:[^{END}/@]*:(?!\d+(?:/|$))[^{END}]*@"  # user:password@, whatever the password is made of
    rf"|[^{END}/]*@)"  # user@
)
SECRET: Final = re.compile(
    rf"([?&;][^=&;{END}]*(?:token|secret|passw|pwd|key|signature|credential|auth|sig)[^=&;{END}]*=)[^&;{END}]+",
    re.IGNORECASE,
)
"""A parameter of an address that is called like a secret."""


def without_credentials(text: str) -> str:
    """Return `text` with the users, passwords and secret parameters of its addresses left out.

    `http://alice:secret@host/a?token=1` becomes `http://host/a?token=***`.
    """
    shown = USER.sub(r"\1", text) if "://" in text else text
    return SECRET.sub(rf"\1{HIDDEN}", shown)  # of a path without its host, too, as libraries name it


def first_words(text: object, length: int) -> str:
    """Return the beginning of `text` in one line without credentials: half an address would not be known as one."""
    return " ".join(without_credentials(str(text)).split())[:length]


def hide_in_logs() -> None:
    """Leave credentials out of whatever this process logs from now on, libraries included; again changes nothing."""
    make = logging.getLogRecordFactory()
    if isinstance(make, _WithoutCredentials):
        return
    logging.setLogRecordFactory(_WithoutCredentials(make))


class _WithoutCredentials:
    """A factory of log records whose message and traceback have no credentials."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record = self._make(*arguments, **named)
        message = record.getMessage()
        if (shown := without_credentials(message)) != message:
            record.msg, record.args = shown, None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = without_credentials("".join(traceback.format_exception(*record.exc_info)).rstrip())
        return record
