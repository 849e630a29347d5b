"""`dvc.yaml` against the code: the same paths, and no code that a stage runs and does not declare."""

import re
from pathlib import Path
from typing import Any

import grimp
import pytest
from ruamel.yaml import YAML

from coronet_core.common.classes import CLASSES
from tasks.runtime import paths
from tasks.runtime.paths import ITEMS, STAGES
from tests.conftest import PROJECT

DVC: dict[str, Any] = YAML(typ="safe").load((PROJECT / "dvc.yaml").read_text())
UNDECLARED = ("tasks.runtime.", "coronet_core.support.")
"""Packages that decide nothing of what a stage makes: how it gets its work, reports, resumes and fails."""


def stage(name: str) -> dict[str, Any]:
    found: dict[str, Any] = DVC["stages"][name]
    return found.get("do", found)


def declared(name: str, *kinds: str) -> list[str]:
    entries = [entry for kind in kinds for entry in stage(name).get(kind, [])]
    return [path for entry in entries for path in (entry if isinstance(entry, dict) else [entry])]


def test_stages_are_those_that_can_be_run() -> None:
    assert list(DVC["stages"]) == list(STAGES)
    assert tuple(DVC["stages"]["train_autoencoder"]["foreach"]) == ITEMS["train_autoencoder"]


def test_the_stages_that_lease_gpus_are_tagged() -> None:
    asks = re.compile(r"context\.device\b|predict_split\(")  # which computes on `context.device`
    leasing = {name for name in STAGES if asks.search((PROJECT / "tasks" / name / "stage.py").read_text())}
    assert {name for name in STAGES if stage(name).get("meta") == {"tags": ["coronet-gpu"]}} == leasing


@pytest.mark.parametrize(
    ("name", "outs"),
    [
        ("build_split", [paths.SPLIT, paths.SPLIT_REPORT]),
        (
            "train_autoencoder",
            [paths.autoencoder_weights("${item}"), paths.autoencoder_history("${item}")],  # type: ignore[arg-type]
        ),
        ("materialize_residuals", [paths.RESIDUALS, paths.RESIDUAL_SCALE]),
        ("train_cin", [paths.CIN_WEIGHTS, paths.CIN_HISTORY]),
        ("calibrate", [paths.CALIBRATION]),
        ("evaluate", [paths.PREDICTIONS, paths.PLOTS, paths.METRICS]),
        ("audit", [paths.AUDIT]),
        ("explain", [paths.EXPLANATIONS, paths.EXPLANATION_MEASURES]),
        ("report", [paths.REPORT, paths.MODEL_CARD, paths.FIGURES]),
        ("package", [paths.PACKAGE]),
    ],
)
def test_outs_are_the_paths_of_the_code(name: str, outs: list[Path]) -> None:
    assert sorted(declared(name, "outs", "metrics")) == sorted(map(str, outs))


def test_plots_are_paths_of_the_code() -> None:
    files = set()
    for entry in DVC["plots"]:
        for name, plot in entry.items():
            files |= set(plot["y"]) if isinstance(plot["y"], dict) else {name}
    histories = [paths.CIN_HISTORY, *(paths.autoencoder_history(label) for label in ITEMS["train_autoencoder"])]
    curves = [plot(label) for plot in (paths.roc_plot, paths.precision_recall_plot) for label in CLASSES]
    plots = [paths.CONFUSION_PLOT, *curves, paths.RELIABILITY_PLOT]
    assert files == {str(path) for path in [*histories, *plots]}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_all_code_that_it_runs(name: str) -> None:
    declared_code = [Path(entry) for entry in declared(name, "deps") if entry.startswith(("coronet_core", "tasks"))]
    files = {Path(*module.split(".")) for module in modules_of(f"tasks.{name}.stage")}
    covered = {file for file in files if {file, file.with_suffix(".py"), *file.parents} & set(declared_code)}
    assert files - covered == set()
    idle = [dep for dep in declared_code if not any(dep in {f.with_suffix(".py"), *f.parents} for f in files)]
    assert [dep for dep in idle if dep.name != "templates"] == []


def modules_of(module: str) -> set[str]:
    """All modules of the project that `module` imports names from, directly or not."""
    graph = grimp.build_graph("coronet_core", "tasks")
    found, waiting = set(), [module]
    while waiting:
        found.add(current := waiting.pop())
        imported = graph.find_modules_directly_imported_by(current) - found
        waiting += {one for one in imported if not one.startswith(UNDECLARED)}
    return found
