"""Which code decides what a stage makes and what a prediction answers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coronet_core.support.errors import CoroNetError
from tasks.inference.output.resumable_dataset import PREDICTOR_MODULE
from tasks.runtime.code_digest import HOME, code_digest, code_of_stage, files_needed_by
from tests.conftest import PROJECT

WithDeps = Callable[..., set[str]]


def names(files: list[Path]) -> set[str]:
    return {file.relative_to(HOME).as_posix() for file in files}


@pytest.fixture
def with_deps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WithDeps:
    """A function that returns the code of the stage `train@healthy` where `dvc.yaml` names these deps."""
    monkeypatch.chdir(tmp_path)

    def code(*deps: str) -> set[str]:
        listed = "".join(f"\n        - {dep}" for dep in deps)
        Path("dvc.yaml").write_text(
            f"stages:\n  train:\n    foreach: [healthy]\n    do:\n      cmd: python\n      deps:{listed}\n"
        )
        return names(code_of_stage("train@healthy"))

    return code


def test_it_is_the_stages_own_as_dvc_states_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    found = names(code_of_stage("train_cin"))
    assert {
        "coronet_core/classifier/pretrained_backbone.py",
        "coronet_core/learning/loop.py",
        "tasks/train_cin/stage.py",
    } <= found
    assert not [name for name in found if name.startswith(("tasks/promotion", "tasks/runtime", "data"))]
    assert names(code_of_stage("train_autoencoder@healthy")) == names(code_of_stage("train_autoencoder@pneumonia"))


def test_data_are_no_code(with_deps: WithDeps) -> None:
    assert with_deps("${data.root}", "data/split", "tasks/train_cin/stage.py") == {"tasks/train_cin/stage.py"}


def test_a_folder_is_all_that_is_in_it_but_what_python_leaves_there(
    with_deps: WithDeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_deps("tasks/report", "tasks/networks/trained_cin.py")
    monkeypatch.setattr("tasks.runtime.code_digest.HOME", tmp_path)
    report = ("report/pages.py", "report/templates/page.j2", "report/__pycache__/pages.pyc")
    for path in [tmp_path / "tasks" / name for name in (*report, "networks/trained_cin.py", "networks/new.py")]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = {file.relative_to(tmp_path / "tasks").as_posix() for file in code_of_stage("train")}
    assert found == {"report/pages.py", "report/templates/page.j2", "networks/trained_cin.py"}


@pytest.mark.parametrize("dep", ["data/split", "tasks/train_${item}.py"], ids=["no code", "code that is not there"])
def test_where_it_is_not_known_it_is_all_code(with_deps: WithDeps, dep: str) -> None:
    found = with_deps(dep)
    assert {"coronet_core/classifier/pretrained_backbone.py", "tasks/promotion/gate.py"} <= found
    Path("dvc.yaml").unlink()
    assert names(code_of_stage("train@healthy")) == found


@pytest.mark.parametrize("content", ["stages: [", "[]", "stages: 1", "", "\0"])
def test_a_dvc_yaml_that_cannot_be_read_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(content)
    with pytest.raises(CoroNetError, match=r"dvc\.yaml: cannot be read .*restore it with git"):
        code_of_stage("train_cin")


def test_another_file_gives_another_digest() -> None:
    first, second = (HOME / "tasks/networks/trained_cin.py", HOME / "tasks/networks/trained_tfen.py")
    assert code_digest([first, second]) == code_digest([second, first])
    assert len({code_digest([first]), code_digest([second]), code_digest([first, second])}) == 3


def test_a_prediction_depends_on_the_code_that_answers() -> None:
    found = names(files_needed_by(PREDICTOR_MODULE))
    assert {
        "coronet_core/classifier/architectures.py",
        "coronet_core/data/reading/dicom.py",
        "tasks/inference/__init__.py",
    } <= found
    others = ("tasks/promotion", "tasks/runtime/tracking", "tasks/report", "tasks/training", "coronet_core/learning")
    assert not [name for name in found if name.startswith(others)]
