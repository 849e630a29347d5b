"""A small run, its report, and what changes the one or the other."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.explain import stage as explain
from tasks.report import stage as report
from tasks.report.plots.drawing import Drawing
from tasks.runtime.files import read_json
from tasks.runtime.paths import (
    AUDIT,
    EXPLANATION_MEASURES,
    EXPLANATIONS,
    FIGURES,
    METRICS,
    MODEL_CARD,
    PREDICTIONS,
    REPORT,
    SPLIT_REPORT,
)
from tasks.runtime.stage_context import StageContext
from tests.tasks.finished_run import finished_run

HOSTILE = "<script>alert('x')</script>|y"
"""Text from outside that would be markup, were it not escaped."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StageContext]:
    """A run in the current folder; nothing is sent to MLflow."""
    with finished_run(tmp_path_factory.mktemp("run")) as context:
        yield context


@pytest.fixture(scope="module")
def made(context: StageContext) -> tuple[str, str]:
    """The page and the model card."""
    report.run(context)
    return REPORT.read_text(), MODEL_CARD.read_text()


@pytest.fixture(scope="module")
def page(made: tuple[str, str]) -> str:
    return made[0]


@pytest.fixture(scope="module")
def card(made: tuple[str, str]) -> str:
    return made[1]


class Changed:
    """The run with other reports of its stages."""

    def __init__(self, context: StageContext) -> None:
        self.context = context
        self.before = {path: path.read_text() for path in (METRICS, SPLIT_REPORT, AUDIT)}
        self.reports: dict[Path, Any] = {path: read_json(path) for path in self.before}

    def page_and_card(self) -> tuple[str, str]:
        """Make the report of what `reports` holds now."""
        for path, content in self.reports.items():
            path.write_text(json.dumps(content))
        report.run(self.context)
        return REPORT.read_text(), MODEL_CARD.read_text()


@pytest.fixture
def changed(context: StageContext) -> Iterator[Changed]:
    run = Changed(context)
    yield run
    for path, text in run.before.items():
        path.write_text(text)


@pytest.fixture
def explain_again(context: StageContext, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Run the stage `explain` once more; what it made before comes back after the test."""
    measures = EXPLANATION_MEASURES.read_bytes()
    shutil.copytree(EXPLANATIONS, tmp_path / "before")
    yield lambda: explain.run(replace(context, name="explain"))
    shutil.rmtree(EXPLANATIONS)
    shutil.copytree(tmp_path / "before", EXPLANATIONS)
    EXPLANATION_MEASURES.write_bytes(measures)


@pytest.fixture
def drawn_before(made: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of the run, drawn once: for tests of other parts of the page."""
    assert made
    drawings = {path.stem: Drawing(path.read_bytes(), path.stem, 1, 1) for path in FIGURES.iterdir()}
    monkeypatch.setattr(report, "report_figures", lambda *_: drawings)


@pytest.fixture
def predictions() -> Iterator[pd.DataFrame]:
    """The predictions of the run, for tests that write others in their place."""
    before = PREDICTIONS.read_bytes()
    yield pd.read_parquet(PREDICTIONS)
    PREDICTIONS.write_bytes(before)
