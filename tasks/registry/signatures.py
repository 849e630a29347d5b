"""Signatures of registered packages: Ed25519 over the digest, with keys that the registry does not have.

Whoever can write to the registry's database and bucket can replace a package and its digest, but cannot sign the new
digest. With the public key in CORONET_PUBLIC_KEY, packages from the registry are used only if they are signed.
"""

import base64
import binascii
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from coronet_core.support.errors import DataError, ParamsError
from tasks.package.metadata import package_digest
from tasks.package.package_folder import read_package
from tasks.registry.versions import Version, all_versions, tag_version

PUBLIC_KEY_VARIABLE: Final = "CORONET_PUBLIC_KEY"
"""Environment variable: PEM file of the public key that packages must be signed for."""
SIGNATURE_TAG: Final = "package.signature"
PURPOSE: Final = b"coronet package "
"""Begins what is signed, so that a signature for another purpose does not pass as one of a package."""
SIGN: Final = "Sign the package where it was made: `coronet models sign --key FILE`."


def sign(package: Path, key: Path) -> Version:
    """Sign the package in the folder `package` with the private key in the PEM file `key`, and return its version.

    Raises DataError if no version has this package, ParamsError if `key` is not such a key.
    """
    private = _private_key(key)
    read_package(package)
    digest = package_digest(package)
    version = next((one for one in all_versions() if one.digest == digest), None)
    if version is None:
        raise DataError(f"{package}: no version has this package. Register it first (`coronet models register`).")
    tag_version(version, {SIGNATURE_TAG: base64.b64encode(private.sign(_message(digest))).decode()})
    return version


def check_signature(version: Version) -> None:
    """Raise DataError if a public key is set and `version` has no signature of its package for it."""
    if not (path := os.environ.get(PUBLIC_KEY_VARIABLE)):
        return
    public = _public_key(Path(path))
    if SIGNATURE_TAG not in version.tags:
        raise DataError(f"{version.uri}: not signed, but {PUBLIC_KEY_VARIABLE} is set. {SIGN}")
    try:
        signature = base64.b64decode(version.tags[SIGNATURE_TAG], validate=True)
        public.verify(signature, _message(version.digest))
    except (binascii.Error, InvalidSignature) as error:
        raise DataError(
            f"{version.uri}: its signature is not one of this package for the key {path}. Find out who changed the "
            f"registry. {SIGN}"
        ) from error


def _message(digest: str) -> bytes:
    return PURPOSE + digest.encode()


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise ParamsError(f"{path}: no private key without a password ({error}). Give a PEM file.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ParamsError(f"{path}: not an Ed25519 key. Make one: `openssl genpkey -algorithm ed25519 -out FILE`.")
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ParamsError(f"{PUBLIC_KEY_VARIABLE} = {path}: no public key ({error}). Give a PEM file.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ParamsError(
            f"{PUBLIC_KEY_VARIABLE} = {path}: not an Ed25519 key. Give the one that belongs to the signer."
        )
    return key
