"""Signed packages: what a registry cannot exchange unnoticed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from coronet_core.support.errors import DataError, ParamsError
from tasks.package.package_folder import write_package
from tasks.registry.fetching import fetch
from tasks.registry.registration import register
from tasks.registry.signatures import PUBLIC_KEY_VARIABLE, SIGNATURE_TAG, check_signature, sign
from tasks.registry.versions import DIGEST_TAG, find_version, tag_version
from tests.tasks.trained_model import CARD, some_lineage, untrained_model


def key_pair(folder: Path, name: str, key: "Ed25519PrivateKey | X25519PrivateKey | None" = None) -> tuple[Path, Path]:
    """The PEM files of a private key and of its public one, as `openssl` writes them."""
    key = key or Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Two packages, versions 1 and 2; the first is signed."""
    folder = tmp_path_factory.mktemp("signatures")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        for number, name in enumerate(("one", "other"), start=1):
            write_package(folder / name, replace(untrained_model(), batch_size=number), CARD, some_lineage())
            register(folder / name)
        private, public = key_pair(folder, "lab")
        assert sign(folder / "one", private).number == 1
        yield private, public


def test_a_signed_package_is_fetched(registered: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PUBLIC_KEY_VARIABLE, str(registered[1]))
    assert fetch(find_version("1")).name == find_version("1").digest


def test_one_without_a_signature_is_refused(registered: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(find_version("2"))  # nobody asks for signatures
    monkeypatch.setenv(PUBLIC_KEY_VARIABLE, str(registered[1]))
    with pytest.raises(DataError, match=r"models:/coronet/2: not signed, .* Sign the package where it was made"):
        fetch(find_version("2"))


def test_a_package_that_was_exchanged_with_its_digest_is_refused(
    registered: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    signed, other = find_version("1"), find_version("2")
    tag_version(other, {SIGNATURE_TAG: signed.tags[SIGNATURE_TAG]})
    exchanged = find_version("2")
    assert exchanged.tags[DIGEST_TAG] != signed.digest
    monkeypatch.setenv(PUBLIC_KEY_VARIABLE, str(registered[1]))
    with pytest.raises(DataError, match="models:/coronet/2: its signature is not one of this package"):
        check_signature(exchanged)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("signature", ["", "no base64!", "AAAA"])
def test_what_is_no_signature_is_refused(
    registered: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, signature: str
) -> None:
    version = find_version("1")
    monkeypatch.setenv(PUBLIC_KEY_VARIABLE, str(registered[1]))
    with pytest.raises(DataError, match="its signature is not one of this package"):
        check_signature(replace(version, tags=dict(version.tags) | {SIGNATURE_TAG: signature}))


@pytest.mark.usefixtures("registered")
def test_a_signature_by_another_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, public = key_pair(tmp_path, "stranger")
    monkeypatch.setenv(PUBLIC_KEY_VARIABLE, str(public))
    with pytest.raises(DataError, match=rf"not one of this package for the key {public}"):
        fetch(find_version("1"))


@pytest.mark.usefixtures("registered")
def test_files_that_are_no_keys_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, public = key_pair(tmp_path, "exchange", X25519PrivateKey.generate())
    with pytest.raises(ParamsError, match=r"not an Ed25519 key\. Make one: `openssl genpkey"):
        sign(Path("one"), private)
    with pytest.raises(ParamsError, match=r"no private key without a password"):
        sign(Path("one"), public)
    for path, reason in ((public, "not an Ed25519 key"), (tmp_path / "missing.pub", "no public key")):
        monkeypatch.setenv(PUBLIC_KEY_VARIABLE, str(path))
        with pytest.raises(ParamsError, match=reason):
            check_signature(find_version("1"))


@pytest.mark.usefixtures("registered")
def test_only_registered_packages_are_signed(registered: tuple[Path, Path], tmp_path: Path) -> None:
    write_package(tmp_path / "new", replace(untrained_model(), batch_size=9), CARD, some_lineage())
    with pytest.raises(DataError, match=r"no version has this package\. Register it first"):
        sign(tmp_path / "new", registered[0])
