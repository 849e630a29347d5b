"""API keys, which clients send as `Authorization: Bearer KEY`."""

import ipaddress
import os
import re
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final

from coronet_core.support.errors import DataError, ParamsError

VARIABLE: Final = "CORONET_API_KEYS"
"""Environment variable: keys, separated by spaces or lines."""
KEY: Final = re.compile(r"[!-~]{16,256}")
ALLOWED: Final = "16 to 256 printable ASCII characters without spaces, such as from `openssl rand -hex 32`"


def read_keys(file: Path | None) -> tuple[str, ...]:
    """Return the keys in `file`, one a line, or without a file those of the environment variable `VARIABLE`.

    Raises DataError if the file cannot be read or has none, ParamsError for what is no key. Neither quotes a key.
    """
    if file is None:
        lines, origin = os.environ.get(VARIABLE, "").split(), VARIABLE
    else:
        lines, origin = _lines_of(file), f"keys = {file}"
    for number, line in enumerate(lines, start=1):
        if KEY.fullmatch(line) is None:
            raise ParamsError(f"{origin}: key {number}: not a key. Allowed: {ALLOWED}.")
    return tuple(lines)


def _lines_of(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"keys = {file}: cannot be read ({error}). Give a text file with a key on each line."
        ) from error
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise DataError(f"keys = {file}: no key in it. Write one on each line: {ALLOWED}.")
    return lines


def is_accepted(authorization: str, keys: Sequence[str]) -> bool:
    """Whether the header `Authorization` carries one of `keys`. How long it takes says nothing of them."""
    scheme, _, key = authorization.partition(" ")
    given = sha256(key.strip().encode()).digest()
    matches = [compare_digest(given, sha256(known.encode()).digest()) for known in keys]
    return scheme.lower() == "bearer" and any(matches)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a service that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def require_keys(host: str, keys: Sequence[str], *, is_open_to_all: bool) -> None:
    """Require keys if other machines can connect. Raises ParamsError."""
    if not is_loopback(host) and not keys and not is_open_to_all:
        raise ParamsError(
            f"host = {host}: other machines could use the service. Give API keys with --keys FILE or {VARIABLE}, or "
            "allow everybody with --without-keys."
        )
