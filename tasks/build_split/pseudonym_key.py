"""The key by which patients and images are hashed in what is written."""

import hashlib
import hmac
import os
from typing import Final

KEY_VARIABLE: Final = "CORONET_PSEUDONYM_KEY"
DEFAULT_KEY: Final = "coronet"
"""No secret: who can guess what was hashed can recompute the hash."""
KEY_FILE: Final = "~/.coronet_key"
NEW_KEY: Final = f"(umask 077; python -c 'import secrets; print(secrets.token_hex(32))' > {KEY_FILE})"
"""What to type to make a key; the file is for its owner alone."""
SET_KEY: Final = f'export {KEY_VARIABLE}="$(cat {KEY_FILE})"'
"""What to type to use it."""


def pseudonym_key() -> str:
    """Return the key that CORONET_PSEUDONYM_KEY sets, or the one that everybody knows."""
    return os.environ.get(KEY_VARIABLE) or DEFAULT_KEY


def pseudonym(text: str) -> str:
    """Return a keyed hash of `text`, 32 hexadecimal digits."""
    return hmac.new(pseudonym_key().encode(), text.encode(), hashlib.sha256).hexdigest()[:32]
