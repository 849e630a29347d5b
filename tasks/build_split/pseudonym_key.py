"""The key by which patients and images are hashed in what is written."""

import hashlib
import hmac
import os
from typing import Final

from coronet_core.data.patients.pseudonyms import Ids
from coronet_core.support.errors import ParamsError
from tasks.runtime.params.data import DataParams, PhantomSource

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


def ids_of(data: DataParams) -> Ids:
    """Return how images and patients are called in what is written.

    Raises ParamsError if the key of the hashes is no secret, and `data.require_secret_key` wants one.
    """
    if data.require_secret_key and _is_guessable(data):
        raise ParamsError(
            f"{KEY_VARIABLE} is not set, and data.require_secret_key is true: whoever can guess a patient's id could "
            f"recompute its hash. Make a key once with `{NEW_KEY}`, and type `{SET_KEY}` in each shell before "
            "`coronet`. For public data, or to go on with a split that was made without a key, set "
            "data.require_secret_key: false in params.yaml."
        )
    return Ids(pseudonym_key(), as_given=data.ids == "as_given")


def key_warnings(data: DataParams) -> list[str]:
    """Return a sentence for the report if the key of the hashes is no secret, and images are of real patients."""
    if not _is_guessable(data):
        return []
    told = (
        f"{KEY_VARIABLE} is not set: ids of patients are hashed with a key that everybody knows, so whoever can guess "
    )
    return [f"{told}an id can recompute its hash and find the patient. Set it before you give to others what was made."]


def _is_guessable(data: DataParams) -> bool:
    return pseudonym_key() == DEFAULT_KEY and not all(isinstance(source, PhantomSource) for source in data.sources)
