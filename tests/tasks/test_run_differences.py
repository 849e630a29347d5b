"""The last run beside the champion and the run before it: by recorded predictions, or with a reason."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from coronet_core.common.classes import DISPLAY_NAMES
from flows.overview.show_report import print_differences
from flows.pipeline.run_comparison import compare_last_run
from tasks.evaluate.prediction_table import prediction_table
from tasks.package.package_folder import write_package
from tasks.promotion.run_differences import Against, former_run, keep_former_run
from tasks.promotion.run_reports import Evidence
from tasks.registry.champion_alias import set_champion
from tasks.registry.registration import register
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import DIFFERENCES, DIFFERENCES_PAGE, PACKAGE, PREDICTIONS, SPLIT
from tests.conftest import PROJECT
from tests.tasks.predictions import predictions
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

SPLIT_MD5 = "b" * 32 + ".dir"
MODEL = untrained_model()


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Those of the demo; the current folder is a project with DVC's cache and without a run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(PROJECT / ".dvc", ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    shutil.copy(PROJECT / "params.yaml", "params.yaml")
    subprocess.run(["git", "init", "-q"], check=True)
    found = read_params()
    return replace(found, evaluate=replace(found.evaluate, bootstrap_replicates=200))


def finish_run(edge: float, split: str = SPLIT_MD5, *, is_in_cache: bool = True) -> None:
    """Make predictions and package of a run whose logits of the truth are `edge` above the others."""
    PREDICTIONS.parent.mkdir(exist_ok=True)
    prediction_table(predictions(60, 60, 40, edge=edge), MODEL.calibration).to_parquet(PREDICTIONS)
    md5 = hashlib.md5(PREDICTIONS.read_bytes(), usedforsecurity=False).hexdigest()
    if is_in_cache:
        kept = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PREDICTIONS, kept)
    write_package(PACKAGE, MODEL, CARD, some_lineage(data={str(SPLIT): split, str(PREDICTIONS): md5}))


def against(find: Callable[[], Evidence], params: Params) -> Against:
    return Against.of("the other", find, params)


def test_the_better_of_two_runs_is_surely_better_in_each_figure(params: Params) -> None:
    finish_run(edge=1)
    keep_former_run()
    finish_run(edge=4)
    found = against(former_run, params)
    assert found.notes == ("Compared on 160 images of 80 patients of the test split.",)
    assert [row.title for row in found.figures] == [
        "accuracy",
        "balanced accuracy",
        "macro ROC-AUC",
        *(f"{name}, {label}" for name in ("sensitivity", "specificity") for label in DISPLAY_NAMES.values()),
        "calibration error (ECE)",
    ]
    for row in found.figures[:-1]:
        assert row.interval is not None
        assert row.interval[0] > 0
        assert row.last is not None
        assert row.difference == pytest.approx(row.last - (row.other or 0))


def test_an_unfinished_run_is_not_the_one_before(params: Params) -> None:
    finish_run(edge=1)
    keep_former_run()
    keep_former_run()  # a second try, which ends before there is another package
    finish_run(edge=4)
    assert against(former_run, params).reason is None


def test_a_first_run_has_none_before_it(params: Params) -> None:
    keep_former_run()
    finish_run(edge=1)
    assert "no earlier run is known" in str(against(former_run, params).reason)


def test_runs_of_different_splits_are_not_compared(params: Params) -> None:
    finish_run(edge=1, split="c" * 32 + ".dir")
    keep_former_run()
    finish_run(edge=4)
    assert against(former_run, params).reason == (
        "it was tested on another split, so its figures are of other images. `coronet promote` tests a champion again "
        "on the images of this one."
    )


def test_predictions_that_are_gone_are_named(params: Params) -> None:
    finish_run(edge=1, is_in_cache=False)
    keep_former_run()
    finish_run(edge=4)
    assert "its test predictions are neither here" in str(against(former_run, params).reason)


def test_without_a_registry_or_its_server_the_champion_has_a_reason_and_the_run_before_figures(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish_run(edge=1)
    keep_former_run()
    finish_run(edge=4)
    champion, former = compare_last_run()
    assert champion.reason == "there is no registry yet: `coronet promote` registers the last run."
    assert former.reason is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    champion, former = compare_last_run()
    assert "MLflow's server is not running at http://127.0.0.1:9" in str(champion.reason)
    assert former.reason is None
    assert params.evaluate.confidence == json.loads(DIFFERENCES.read_text())["confidence"]


@pytest.mark.usefixtures("params")
def test_the_champion_of_the_registry_is_compared_on_a_page(
    mlflow_store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mlflow_store
    finish_run(edge=1)
    version = register(PACKAGE)
    assert "there is none yet" in str(compare_last_run(["champion"])[0].reason)
    set_champion(version, expected=None)
    assert compare_last_run(["champion"])[0].reason == "it is the last run itself."
    finish_run(edge=4)
    found = compare_last_run(["champion", "1", "7"])
    assert [one.reason is None for one in found] == [True, True, False]
    capsys.readouterr()
    print_differences(found)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Against the champion, version 1, last run minus the other. Compared on 160 images")
    assert lines[1].startswith("  accuracy                  +0.")
    assert lines[-1].startswith("Not compared with version 7: ")
    page = DIFFERENCES_PAGE.read_text()
    assert page.count("<caption>Figures on the same test images") == 2
    assert "Not compared:" in page
    assert [one["name"] for one in json.loads(DIFFERENCES.read_text())["against"]] == [
        "the champion, version 1",
        "version 1",
        "version 7",
    ]
