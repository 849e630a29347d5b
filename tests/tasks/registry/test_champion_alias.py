"""The champion is an alias: one at a time, whoever sets it at the same moment or is killed between."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from mlflow import MlflowClient

from coronet_core.support.errors import CoroNetError
from tasks.registry.champion_alias import set_champion
from tasks.registry.registration import register
from tasks.registry.versions import all_versions, champion, find_version
from tests.conftest import PROJECT
from tests.tasks.registry.conftest import Registered


def test_a_champion_that_is_not_the_expected_one_is_left_alone(registered: Registered) -> None:
    set_champion(registered.first, champion())
    for expected in (None, registered.second):
        with pytest.raises(CoroNetError, match="the champion is version 1, not"):
            set_champion(registered.second, expected)
    assert champion() == find_version("1")


def test_a_challenger_that_becomes_the_champion_is_no_challenger(registered: Registered) -> None:
    register(registered.packages[1])
    set_champion(registered.second, champion())
    assert find_version("champion").aliases == ("champion",)
    register(registered.packages[1])
    assert find_version("champion").aliases == ("champion",)


def test_of_several_at_once_one_wins(registered: Registered) -> None:
    set_champion(registered.first, champion())
    before, n_rivals = champion(), 6
    together = Barrier(n_rivals)

    def promote(_: int) -> str:
        together.wait()
        try:
            set_champion(registered.second, before)
        except CoroNetError as error:
            return str(error)
        return "won"

    with ThreadPoolExecutor(n_rivals) as pool:
        ends = list(pool.map(promote, range(n_rivals)))
    assert ends.count("won") == 1
    assert champion() == find_version("2")


def test_who_is_overtaken_at_the_same_moment_is_told(registered: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    set_champion(registered.first, champion())
    set_alias = MlflowClient.set_registered_model_alias

    def set_and_overtake(client: MlflowClient, name: str, alias: str, version: str) -> None:
        set_alias(client, name, alias, version)
        set_alias(client, name, alias, "1")

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", set_and_overtake)
    with pytest.raises(CoroNetError, match="the champion is version 1, not version 2: it changed meanwhile"):
        set_champion(registered.second, registered.first)


KILLED_BETWEEN_THE_ALIASES = """
import os, signal
from mlflow import MlflowClient
from tasks.registry.champion_alias import set_champion
from tasks.registry.versions import champion, find_version
MlflowClient.delete_registered_model_alias = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
set_champion(find_version("challenger"), champion())
"""


def test_after_a_kill_between_the_aliases_the_next_change_removes_the_challenger(registered: Registered) -> None:
    set_champion(registered.first, champion())
    register(registered.packages[1])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BETWEEN_THE_ALIASES], env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert find_version("2").aliases == ("challenger", "champion")
    set_champion(registered.first, champion())
    assert (find_version("1").aliases, find_version("2").aliases) == (("champion",), ())


def test_the_entries_of_a_former_version_are_left_alone(registered: Registered) -> None:
    client = MlflowClient(registered.store)
    client.create_registered_model("coronet-champions")
    client.create_model_version("coronet-champions", "models:/coronet/2", tags={"behind": "0", "champion": "2"})
    set_champion(registered.first, champion())
    set_champion(registered.second, champion())
    (entry,) = client.search_model_versions("name='coronet-champions'")
    assert entry.tags == {"behind": "0", "champion": "2"}
    assert [version.number for version in all_versions()] == [1, 2]
