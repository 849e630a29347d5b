"""Stages on other hosts, without a server: the order, the worker's checkout, the entries and the transfers."""

import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from dvc.repo import Repo
from prefect.settings import PREFECT_API_URL, temporary_settings
from ruamel.yaml import YAML

from coronet_core.support.errors import CoroNetError, DataError, ParamsError, TransientError
from flows.project.workspace import write_params
from flows.project.worktree import check_out, link_raw_data
from flows.remote import dvc_transfer as transfer
from flows.remote import stage as remote_stage
from flows.remote.checkout import CHECKOUTS, open_checkout
from flows.remote.lock_entries import StageInputs, inputs_of, locked_project, merge_entry, read_entries
from flows.remote.remote_run import _cancel, _commit
from flows.remote.request import StageOrder
from flows.servers.server_process import free_port
from tests.integration.conftest import Project, make_project

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@localhost")
STAGE = "train_autoencoder@pneumonia"
RUN = UUID(int=1)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose origin is a repository in another folder; the current folder."""
    project = make_project(tmp_path / "first")
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "origin.git")], check=True)
    git(project.folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(project.folder, "push", "-q", "origin", "HEAD")
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture
def worker(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A clone of the project, now the current folder."""
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), str(tmp_path / "second"))
    monkeypatch.chdir(tmp_path / "second")
    return replace(project, folder=tmp_path / "second")


def order(project: Project) -> StageOrder:
    return StageOrder(
        stage=STAGE,
        commit=git(project.folder, "rev-parse", "HEAD"),
        params=(project.folder / "params.yaml").read_text(),
        lock="schema: '2.0'\nstages: {}\n",
        deps={},
        timeout_s=None,
        parent_run_id=None,
    )


def change(project: Project, *, push: bool) -> None:
    (project.folder / "tasks" / "new.py").write_text('"""New."""\n')
    git(project.folder, "add", ".")
    git(project.folder, "commit", "-qm", "new")
    if push:
        git(project.folder, "push", "-q", "origin", "HEAD")


def test_code_that_is_not_committed_is_not_sent(project: Project) -> None:
    (project.folder / "tasks" / "runtime" / "paths.py").write_text("")
    with pytest.raises(CoroNetError, match=r"not committed: tasks/runtime/paths\.py\. .*commit it and push it first"):
        _commit()


def test_a_run_that_could_not_be_cancelled_is_said() -> None:
    lines: list[str] = []
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        _cancel(RUN, lines.append)
    goes_on = f"warning: flow run {RUN} is not cancelled, and its stage goes on"
    assert lines == [f"{goes_on}: Prefect's server accepts no request (ConnectError). Cancel it on Prefect's page."]


def test_params_that_are_not_committed_are_no_fault(project: Project) -> None:
    write_params(project.folder / "params.yaml", {"seed": 7})
    assert _commit() == git(project.folder, "rev-parse", "HEAD")


def test_a_folder_without_git_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(CoroNetError, match="is not a clone with a commit"):
        _commit()


def test_a_checkout_has_the_commit_the_params_and_the_lock_of_the_order(project: Project, worker: Project) -> None:
    change(project, push=True)
    sent = replace(order(project), params=order(project).params.replace("seed: ", "seed: 1"))
    with open_checkout(sent, print) as folder:
        assert folder == CHECKOUTS / STAGE
        assert (folder / "tasks" / "new.py").is_file()
        assert (folder / "params.yaml").read_text() == sent.params
        assert (folder / "dvc.lock").read_text() == sent.lock
    assert git(worker.folder, "status", "--porcelain") == ""
    assert not (worker.folder / "tasks" / "new.py").exists()


@pytest.mark.usefixtures("worker")
def test_the_next_order_finds_what_the_last_one_left(project: Project) -> None:
    with open_checkout(order(project), print) as folder:
        (folder / "models").mkdir()
        (folder / "models" / "cin.safetensors").write_text("made")
    change(project, push=True)
    with open_checkout(order(project), print) as folder:
        assert (folder / "tasks" / "new.py").is_file()
        assert (folder / "models" / "cin.safetensors").read_text() == "made"


@pytest.mark.usefixtures("worker")
def test_a_checkout_whose_git_was_killed_is_mended(project: Project) -> None:
    with open_checkout(order(project), print) as folder:
        Path(git(folder, "rev-parse", "--absolute-git-dir"), "index.lock").touch()
        (folder / "dvc.yaml").write_text("half")
    with open_checkout(order(project), print) as folder:
        assert (folder / "dvc.yaml").read_bytes() == (project.folder / "dvc.yaml").read_bytes()
        (folder / ".git").unlink()
    with open_checkout(order(project), print) as folder:
        assert git(folder, "rev-parse", "HEAD") == order(project).commit


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stage", "../../../victim"),
        ("stage", "/victim"),
        ("stage", "--all"),
        ("commit", "--upload-pack=touch x"),
        ("commit", "HEAD"),
        ("parent_run_id", "x' or '1'='1"),
        ("lock", "not: [a lock"),
        ("lock", "stages: {build_split: {outs: [{path: ../../victim, md5: 0123456789abcdef0123456789abcdef}]}}"),
        ("lock", "stages: {build_split: {deps: [{path: data/raw, md5: ../../victim}]}}"),
        ("lock", "stages: {build_split: {outs: [{path: data, files: [{relpath: ../victim}]}]}}"),
    ],
)
def test_an_order_that_no_flow_sends_is_refused_in_one_line(project: Project, field: str, value: str) -> None:
    hostile = replace(order(project), **{field: value})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"^[^\n]*$"), open_checkout(hostile, print):
        pass
    assert not CHECKOUTS.exists()


@pytest.mark.usefixtures("worker")
def test_a_commit_that_is_not_pushed_is_asked_for(project: Project) -> None:
    change(project, push=False)
    pushed = r"cannot fetch commit [0-9a-f]{12} from origin\. Push it"
    with pytest.raises(CoroNetError, match=pushed) as caught, open_checkout(order(project), print):
        pass
    assert not isinstance(caught.value, TransientError)


def test_an_origin_that_does_not_answer_may_answer_later(project: Project, worker: Project) -> None:
    change(project, push=True)
    git(worker.folder, "remote", "set-url", "origin", str(worker.folder.parent / "nowhere.git"))
    with pytest.raises(TransientError, match="git fetch origin"), open_checkout(order(project), print):
        pass


@pytest.mark.usefixtures("worker")
def test_params_that_are_not_sound_are_refused(project: Project) -> None:
    bad = replace(order(project), params=order(project).params.replace("seed:", "sede:"))
    with pytest.raises(ParamsError, match="Did you mean seed"), open_checkout(bad, print):
        pass


def test_a_checkout_has_the_cache_and_the_remotes_of_the_clone(project: Project, worker: Project) -> None:
    (worker.folder / ".dvc" / "config.local").write_text(
        "[core]\n    remote = store\n['remote \"store\"']\n    url = ../../store\n[cache]\n    dir = ../../cache\n"
    )
    with open_checkout(order(project), print) as folder, Repo(str(folder)) as repo:
        assert Path(repo.cloud.get_remote().path) == worker.folder.parent / "store"
        assert Path(repo.cache.local_cache_dir) == worker.folder.parent / "cache"


def test_raw_data_and_records_are_the_clones(project: Project, worker: Project) -> None:
    with open_checkout(order(project), print) as folder:
        assert (folder / "data" / "demo").samefile(worker.folder / "data" / "demo")
        assert (folder / ".coronet" / "tracking").samefile(worker.folder / ".coronet" / "tracking")
    assert (worker.folder / "data" / "demo" / "README.md").is_file()


OUT = "    outs:\n    - path: data/split\n      hash: md5\n      md5: 0123456789abcdef0123456789abcdef.dir\n"
ENTRY = "schema: '2.0'\nstages:\n  {}:\n    cmd: {}\n"


@pytest.mark.parametrize("root", ["..", "../victim", "models/../../victim", "link/victim"])
def test_raw_data_outside_of_the_checkout_are_left_alone(project: Project, tmp_path: Path, root: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "mine.txt").write_text("mine")
    (project.folder / "checkout").mkdir()
    for place in (project.folder, project.folder / "checkout"):
        (place / "link").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"data\.root .*"):
        link_raw_data(Path(root), project.folder / "checkout")
    assert (victim / "mine.txt").read_text() == "mine"
    assert (project.folder / "checkout").is_dir()


@pytest.mark.usefixtures("project")
def test_what_is_no_commit_never_reaches_git(tmp_path: Path) -> None:
    for commit in ("--detach", "main", "HEAD~1", "a" * 39, "a" * 40 + "\n"):
        with pytest.raises(DataError, match=r"commit .* is refused"):
            check_out(commit, tmp_path / "checkout", "this clone")
    assert not (tmp_path / "checkout").exists()


@pytest.mark.usefixtures("project")
def test_an_entry_of_another_stage_is_refused() -> None:
    with pytest.raises(DataError, match="no entry of build_split"):
        merge_entry("build_split", ENTRY.format(STAGE, "a"))
    assert read_entries() == {}


@pytest.mark.usefixtures("project")
def test_an_entry_is_merged_and_the_others_stay() -> None:
    for stage, cmd in (("build_split", "a"), (STAGE, "b"), (STAGE, "c")):
        merge_entry(stage, ENTRY.format(stage, cmd))
    content = YAML(typ="safe").load(Path("dvc.lock").read_text())
    assert content == {"schema": "2.0", "stages": {"build_split": {"cmd": "a"}, STAGE: {"cmd": "c"}}}


@pytest.mark.usefixtures("project")
def test_an_entry_waits_for_dvcs_lock() -> None:
    merging = threading.Thread(target=merge_entry, args=(STAGE, ENTRY.format(STAGE, "a")))
    with locked_project():
        merging.start()
        merging.join(1)
        assert read_entries() == {}
    merging.join()
    assert set(read_entries()) == {STAGE}


@pytest.mark.usefixtures("project")
def test_a_stage_reads_outs_of_others_and_what_it_goes_on_from() -> None:
    with locked_project() as repo:
        residuals, split = inputs_of(repo, "materialize_residuals"), inputs_of(repo, "build_split")
    assert set(residuals.upstream) == {"build_split", "train_autoencoder@healthy", STAGE}
    assert "models/autoencoder_pneumonia.safetensors" in residuals.outs
    assert "coronet_core/autoencoder" in residuals.deps
    assert "params.yaml" not in residuals.deps
    assert (split.outs, split.upstream) == (("data/split", "reports/split.json"), ("build_split",))


@pytest.mark.usefixtures("worker")
def test_a_stage_in_a_checkout_reads_from_the_checkout(project: Project) -> None:
    with open_checkout(order(project), print) as folder:
        (folder / "tasks" / "train_autoencoder" / "stage.py").write_text("# not what the clone has\n")
        with locked_project(folder) as there, locked_project() as here:
            found, clones = inputs_of(there, STAGE), inputs_of(here, STAGE)
    assert found.outs == clones.outs == ("data/split",)
    assert {dep for dep, md5 in found.deps.items() if clones.deps[dep] != md5} == {"tasks/train_autoencoder"}


def test_deps_that_differ_are_named(project: Project) -> None:
    sent = replace(order(project), deps={"data/raw": "1", "tasks/runtime/stage_context.py": "2", "data/split": "3"})
    here = StageInputs(outs=(), upstream=(), deps={"tasks/runtime/stage_context.py": "2", "data/split": "4"})
    with pytest.raises(CoroNetError, match=r"data/raw is not on this host; data/split on this host is not what"):
        remote_stage._compare(here, sent)


@pytest.mark.usefixtures("project")
def test_a_project_without_a_dvc_remote_is_told_how_to_name_one() -> None:
    with pytest.raises(CoroNetError, match=r"no DVC remote: .*dvc remote add --default"):
        transfer.check_remote()


def test_a_remote_that_does_not_answer_is_tried_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES_S", (0.1,))
    config = "[core]\n    remote = s\n['remote \"s\"']\n    url = http://127.0.0.1:9/store\n"
    (project.folder / ".dvc" / "config.local").write_text(config)
    merge_entry("build_split", ENTRY.format("build_split", "x") + OUT)
    said: list[str] = []
    with pytest.raises(TransientError, match="dvc pull"):
        transfer.pull(["data/split"], Path(), said.append)
    assert len(said) == 1
    assert "trying again" in said[0]
