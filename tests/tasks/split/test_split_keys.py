"""The key of the hashes, and who may read the names of images."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import IMAGE_NAMES, SPLIT
from tests.conftest import PARAMS
from tests.tasks.split.raw_images import splits_of_patients

pytestmark = pytest.mark.usefixtures("without_mlflow")


def test_the_names_of_images_are_for_their_owner_alone(build: Callable[..., Any]) -> None:
    former = os.umask(0o022)
    try:
        build()
        IMAGE_NAMES.chmod(0o644)  # as an earlier version left it
        build()
    finally:
        os.umask(former)
    assert IMAGE_NAMES.stat().st_mode & 0o777 == 0o600


def test_a_key_that_everybody_knows_is_warned_of(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = build()
    assert any("CORONET_PSEUDONYM_KEY is not set: patient ids" in sentence for sentence in report["warnings"])
    assert "warning: CORONET_PSEUDONYM_KEY is not set" in capsys.readouterr().out
    shutil.rmtree(SPLIT)
    monkeypatch.setenv("CORONET_PSEUDONYM_KEY", "of the hospital")
    assert not any("CORONET_PSEUDONYM_KEY" in sentence for sentence in build()["warnings"])


def test_phantoms_need_no_key(build: Callable[..., Any]) -> None:
    report = build(sources=read_params(PARAMS).data.sources, require_secret_key=True)
    assert not any("CORONET_PSEUDONYM_KEY" in sentence for sentence in report["warnings"])


def test_a_required_key_is_asked_for_with_what_to_type_before_anything_is_written(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy = r"secrets\.token_hex\(32\).*export CORONET_PSEUDONYM_KEY=.*require_secret_key: false"
    for key in ("", "coronet"):
        monkeypatch.setenv("CORONET_PSEUDONYM_KEY", key)
        with pytest.raises(ParamsError, match=remedy):
            build(require_secret_key=True)
    assert not SPLIT.exists()
    assert not IMAGE_NAMES.exists()
    monkeypatch.setenv("CORONET_PSEUDONYM_KEY", "of the hospital")
    build(require_secret_key=True)


def test_a_split_that_was_made_with_the_default_key_goes_on_when_none_is_required(build: Callable[..., Any]) -> None:
    build()
    before = splits_of_patients()
    with pytest.raises(ParamsError, match="to continue a split that was made without a key"):
        build(require_secret_key=True)
    build(require_secret_key=False)
    assert splits_of_patients() == before
