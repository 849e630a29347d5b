"""Promotions and rollbacks in a real registry: written down, one winner at a time, and a way back."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from coronet_core.support.errors import CoroNetError, TransientError
from tasks.package.package_folder import write_package
from tasks.promotion.gate import Decision, Ruling
from tasks.promotion.promote_version import Judgement, decline, promote
from tasks.promotion.promotion_log import LOG, Line, lines_of
from tasks.promotion.restore_champion import roll_back
from tasks.registry.champion_alias import set_champion
from tasks.registry.model_name import MODEL
from tasks.registry.registration import register
from tasks.registry.versions import Version, champion, find_version
from tests.conftest import PROJECT
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

DECISION = Decision(
    rulings=(Ruling(rule="calibration", passed=True, reason="Probabilities are right."),),
    figures={"calibration_error": 0.01},
)
PROMOTER = """
import sys
from tasks.promotion.gate import Decision
from tasks.promotion.promote_version import Judgement, promote
from tasks.registry.versions import champion, find_version
judgement = Judgement(
    version=find_version(sys.argv[1]), champion=champion(), decision=Decision(rulings=(), figures={})
)
print("ready", flush=True)
sys.stdin.readline()
promote(judgement, by=f"process {sys.argv[1]}")
print("won")
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Version]]:
    """Versions 1 to 4 in a store of their own; the tests go on from each other's champion."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        model, found = untrained_model(), []
        for batch_size in range(1, 5):
            write_package(Path("package"), replace(model, batch_size=batch_size), CARD, some_lineage())
            found.append(register(Path("package")))
        yield found


def judged(version: Version) -> Judgement:
    return Judgement(version=version, champion=champion(), decision=DECISION)


def champion_number() -> int | None:
    found = champion()
    return None if found is None else found.number


def test_without_a_champion_there_is_nothing_to_roll_back(versions: list[Version]) -> None:
    assert len(versions) == 4
    with pytest.raises(CoroNetError, match="there is no champion: nothing to roll back"):
        roll_back("it is bad", "me")


def test_a_promotion_is_written_to_the_versions_tags_and_to_the_file(versions: list[Version]) -> None:
    promote(judged(versions[0]), by="me", comment="looks good")
    assert champion_number() == 1
    tags = find_version("1").tags
    assert tags["promotion"] == "promoted"
    assert tags["promotion.reasons"] == "Probabilities are right.\nlooks good"
    (line,) = lines_of([tags])
    assert (line.before, line.after, line.by) == (None, 1, "me")
    assert line.figures == {"calibration_error": 0.01}
    assert Line.of_json(LOG.read_text().splitlines()[-1]) == line


def test_the_first_champion_has_none_before_it() -> None:
    with pytest.raises(CoroNetError, match="version 1 is the first champion on record"):
        roll_back("it is bad", "me")


def test_what_is_declined_changes_no_champion(versions: list[Version]) -> None:
    decline(judged(versions[1]), "me", "not today")
    assert champion_number() == 1
    assert find_version("2").tags["promotion.reasons"] == "not today"


def test_a_rollback_restores_the_champion_before_and_says_why(versions: list[Version]) -> None:
    promote(judged(versions[1]), by="me")
    found = roll_back("it calls every child ill", "me")
    assert (found.removed.number, found.restored.number, champion_number()) == (2, 1, 1)
    tags = find_version("2").tags
    assert (tags["promotion"], tags["promotion.reasons"]) == ("rolled back", "it calls every child ill")
    assert [line.event for line in lines_of([tags])] == ["declined", "promoted", "rolled back"]


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_rollback_needs_a_reason(reason: str) -> None:
    with pytest.raises(CoroNetError, match="a rollback needs a reason"):
        roll_back(reason, "me")


def test_a_judgement_on_a_champion_that_is_gone_promotes_nothing(versions: list[Version]) -> None:
    judgement = judged(versions[2])
    promote(judged(versions[1]), by="somebody else")
    with pytest.raises(CoroNetError, match="changed meanwhile"):
        promote(judgement, by="me")
    assert champion_number() == 2
    assert find_version("3").tags["promotion"] == "overtaken"


@pytest.mark.slow
def test_of_two_processes_that_promote_at_once_one_wins(versions: list[Version]) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTER, str(version.number)],
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for version in versions[2:]
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    told = [process.communicate(timeout=120) for process in processes]
    won = [version.number for version, (output, _) in zip(versions[2:], told, strict=True) if "won" in output]
    assert len(won) == 1, told
    assert champion_number() == won[0]
    events = {number: find_version(str(number)).tags["promotion"] for number in (3, 4)}
    assert events == {won[0]: "promoted", 7 - won[0]: "overtaken"}


def test_a_registry_that_does_not_answer_has_overtaken_nobody(
    versions: list[Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise MlflowException("(sqlite3.OperationalError) database is locked", error_code=TEMPORARILY_UNAVAILABLE)

    before = find_version("1").tags
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", locked)
    with pytest.raises(TransientError, match="database is locked"):
        promote(judged(versions[0]), by="me")
    assert find_version("1").tags == before


def test_the_way_back_passes_over_what_was_rolled_back_or_set_by_hand(versions: list[Version]) -> None:
    set_champion(versions[0], expected=champion())
    set_champion(versions[3], expected=champion())
    promoted = {json.loads(text)["version"] for text in LOG.read_text().splitlines() if "promoted" in text}
    assert roll_back("set by hand", "me").restored.number in promoted - {4}


def test_a_champion_that_was_deleted_is_missed(versions: list[Version]) -> None:
    assert len(versions) == 4
    MlflowClient().delete_registered_model_alias(MODEL, "champion")  # as MLflow does with the version
    with pytest.raises(CoroNetError, match=r"that still exists is version \d: `coronet promote \d`"):
        roll_back("it is bad", "me")
