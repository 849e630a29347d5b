"""Packages are fetched from a real MLflow store, whole and unchanged or not at all."""

import pytest

from coronet_core.support.errors import WeightsError
from tasks.package.metadata import CIN, package_digest
from tasks.package.package_folder import read_package, write_package
from tasks.registry.fetching import FETCHED, fetch
from tests.tasks.registry.conftest import Registered, stored_package
from tests.tasks.trained_model import CARD, some_lineage


def test_a_package_is_fetched_once(registered: Registered) -> None:
    folder = fetch(registered.first)
    assert folder == FETCHED / registered.first.digest
    assert read_package(folder) == read_package(registered.packages[0])
    before = (folder / CIN).stat().st_mtime_ns
    assert (fetch(registered.first) / CIN).stat().st_mtime_ns == before


def test_a_fetched_package_that_was_damaged_is_fetched_again(registered: Registered) -> None:
    (fetch(registered.first) / CIN).write_bytes(b"")
    assert read_package(fetch(registered.first)) == read_package(registered.packages[0])


def test_a_package_that_was_tampered_with_in_the_store_is_refused(registered: Registered) -> None:
    stored = stored_package(registered, registered.second) / CIN
    sound = stored.read_bytes()
    stored.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with pytest.raises(WeightsError, match=r"its SHA-256 differs from that in coronet\.json"):
        fetch(registered.second)
    stored.write_bytes(sound)


def test_another_sound_package_in_the_store_is_refused(registered: Registered) -> None:
    stored = stored_package(registered, registered.second)
    write_package(stored, read_package(registered.packages[0]), CARD, some_lineage())
    with pytest.raises(WeightsError, match="artifacts differ from the registered package"):
        fetch(registered.second)
    write_package(stored, read_package(registered.packages[1]), CARD, some_lineage())
    assert package_digest(fetch(registered.second)) == registered.second.digest
