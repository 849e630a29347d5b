"""Every out of every stage, damaged: the stage that reads it says which file, and what brings it back."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from coronet_core.common.shards import shard_path
from coronet_core.support.checksums import MARK
from tasks.audit import stage as audit
from tasks.build_split import stage as build_split
from tasks.calibrate import stage as calibrate
from tasks.evaluate import stage as evaluate
from tasks.explain import stage as explain
from tasks.materialize_residuals import stage as materialize_residuals
from tasks.report import stage as report
from tasks.runtime.error_handling import exit_code
from tasks.runtime.paths import (
    AUDIT,
    CALIBRATION,
    CIN_HISTORY,
    CIN_WEIGHTS,
    EXPLANATION_INDEX,
    EXPLANATION_MEASURES,
    GALLERY_INDEX,
    GALLERY_MAPS,
    IMAGES,
    MANIFEST,
    METRICS,
    PREDICTIONS,
    RESIDUAL_INDEX,
    RESIDUALS,
    SPLIT_REPORT,
    autoencoder_weights,
    explanation_maps,
    roc_plot,
)
from tasks.runtime.stage_context import StageContext
from tests.tasks.finished_run import finished_run

READERS: Final[dict[Path, ModuleType]] = {
    MANIFEST: build_split,
    shard_path(IMAGES, 0): materialize_residuals,
    autoencoder_weights("pneumonia"): materialize_residuals,
    RESIDUAL_INDEX: calibrate,
    shard_path(RESIDUALS, 0): calibrate,
    CIN_WEIGHTS: audit,
    CALIBRATION: evaluate,
    PREDICTIONS: explain,
    METRICS: report,
    SPLIT_REPORT: report,
    AUDIT: report,
    EXPLANATION_MEASURES: report,
    EXPLANATION_INDEX: report,
    explanation_maps("perturbation"): report,
    GALLERY_INDEX: report,
    GALLERY_MAPS: report,
}
"""Each out with a checksum, and a stage that reads it."""
TABLES: Final = (CIN_HISTORY, roc_plot("healthy"))
"""Tables for DVC's plots, which have no checksum."""
SEEDS: Final = (0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StageContext]:
    """A finished run in the current folder."""
    with finished_run(tmp_path_factory.mktemp("project")) as context:
        yield context


def flipped(content: bytes, seed: int) -> bytes:
    """Return `content` with one bit flipped, anywhere but in the mark, without which a file counts as an older one."""
    mark = content.find(MARK)
    rng = random.Random(seed)  # noqa: S311  # no secret
    place = rng.choice([place for place in range(len(content)) if not mark <= place < mark + len(MARK)])
    return content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]


def truncated(content: bytes, seed: int) -> bytes:
    return content[: random.Random(seed).randrange(len(content) - 30)]  # noqa: S311  # no secret


def error_of(finished: StageContext, damaged: Path, stage: ModuleType, damage: Callable[[bytes], bytes] | None) -> str:
    """Damage or delete a file, run the stage that reads it, and return what that says."""
    whole = damaged.read_bytes()
    if damage is None:
        damaged.unlink()
    else:
        damaged.write_bytes(damage(whole))
    name = stage.__name__.split(".")[1]
    try:
        assert exit_code(lambda: stage.run(replace(finished, name=name))) == 1
    finally:
        damaged.write_bytes(whole)
    return name


def assert_one_line(shown: str, damaged: Path, what: str) -> None:
    assert shown.count("\n") == 1, shown
    assert shown.startswith(f"error: {damaged}: {what}"), shown
    assert "`dvc checkout " in shown or "coronet run" in shown, shown


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("damage", [flipped, pytest.param(truncated, marks=pytest.mark.slow)])
@pytest.mark.parametrize("damaged", READERS, ids=str)
def test_a_flipped_bit_and_a_lost_end_are_one_line(
    finished: StageContext,
    damaged: Path,
    damage: Callable[[bytes, int], bytes],
    seed: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error_of(finished, damaged, READERS[damaged], partial(damage, seed=seed))
    assert_one_line(capsys.readouterr().err, damaged, "damaged: ")


@pytest.mark.parametrize("damaged", [path for path in READERS if path != MANIFEST] + list(TABLES), ids=str)
def test_a_deleted_file_is_one_line(finished: StageContext, damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error_of(finished, damaged, READERS.get(damaged, report), None)
    assert_one_line(capsys.readouterr().err, damaged, "")


@pytest.mark.parametrize("damaged", [TABLES[0], pytest.param(TABLES[1], marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda content: b"\xff" + content, lambda content: content.replace(b",", b"x,", 1)],
    ids=["empty", "no text", "no such column"],
)
def test_a_table_that_cannot_be_read_is_one_line(
    finished: StageContext, damaged: Path, damage: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    error_of(finished, damaged, report, damage)
    assert_one_line(capsys.readouterr().err, damaged, "damaged: ")
