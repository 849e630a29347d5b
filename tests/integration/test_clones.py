"""Clones of one project, through a bare git repository and an S3 remote: with the raw images, and without them."""

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from coronet_core.common.classes import CLASSES
from tests.integration.conftest import LIGHT, make_project
from tests.integration.drawn_images import draw
from tests.integration.hosts import Host, runs_in
from tests.integration.s3 import S3Server, s3_server

pytestmark = [pytest.mark.integration, pytest.mark.slow]
UP_TO_DATE = "Data and pipelines are up to date."
SOURCE = {"kind": "image_folder", "labels_csv": None, "patient_id_pattern": None, "class_aliases": {}}
STEPS = "explain.measures.deletion_steps"
"""A param of a late stage, so that little has to be run again."""
OF_DVC = {"data/raw/.gitignore", "data/raw/more.dvc", "data/raw/xray.dvc"}


def draw_images(folder: Path, numbers: range) -> None:
    for label in CLASSES:
        for number in numbers:
            draw(folder, label, number)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), "coronet", "incoming") as server:
        yield server


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    origin = tmp_path_factory.mktemp("origin") / "coronet.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(origin)], check=True)
    return origin


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, server: S3Server, origin: Path) -> Host:
    """Whose images are on the disk and in a bucket: they are added, everything is run, committed and pushed."""
    host = Host(make_project(tmp_path_factory.mktemp("first") / "coronet").folder, server.variables)
    identify(host)
    host.set_params(LIGHT | {"data": {"root": "data/raw", "sources": [SOURCE | {"folder": name} for name in FOLDERS]}})
    draw_images(host.folder / "data/raw/xray", range(12))
    incoming = tmp_path_factory.mktemp("incoming")
    draw_images(incoming, range(12, 15))
    for image in incoming.rglob("*.png"):
        server.client().upload_file(str(image), "incoming", f"xrays/{image.relative_to(incoming)}")
    host.done("dvc", "add", "data/raw/xray")
    host.done("dvc", "import-url", "s3://incoming/xrays", "data/raw/more")
    host.done("dvc", "remote", "add", "--default", "store", "s3://coronet/dvc")
    host.done("flows", "run")
    host.done("dvc", "push")
    host.git("add", ".")
    host.git("commit", "-qm", "Train on images of two sources")
    host.git("remote", "add", "origin", str(origin))
    host.git("push", "-q", "origin", "HEAD:main")
    return host


FOLDERS = ("xray", "more")


def identify(host: Host) -> None:
    """Who commits: DVC makes commits for experiments."""
    host.git("config", "user.name", "test")
    host.git("config", "user.email", "test@localhost")


def clone(origin: Path, folder: Path, server: S3Server) -> Host:
    subprocess.run(["git", "clone", "-q", str(origin), str(folder)], check=True)
    host = Host(folder, server.variables)
    identify(host)
    return host


@pytest.fixture(scope="module")
def second(first: Host, origin: Path, server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A clone that has pulled everything."""
    host = clone(origin, tmp_path_factory.mktemp("second") / "coronet", server)
    host.done("dvc", "pull")
    assert len(list((host.folder / "data/raw").rglob("*.png"))) == len(list((first.folder / "data/raw").rglob("*.png")))
    return host


def test_images_are_in_no_commit_and_keys_in_no_file_of_git(first: Host, server: S3Server) -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=first.folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {name for name in tracked if name.startswith("data/raw/")} == OF_DVC
    assert "s3://coronet/dvc" in (first.folder / ".dvc/config").read_text()
    assert not any(server.secret_key in (first.folder / name).read_text(errors="replace") for name in tracked)


def test_a_run_names_the_address_of_its_data_in_the_remote(first: Host, server: S3Server) -> None:
    (run,) = (one for one in runs_in(f"sqlite:///{first.folder}/mlflow.db") if one.info.run_name == "build_split")
    (address,) = {json.loads(one.dataset.source)["uri"] for one in run.inputs.dataset_inputs}
    bucket, _, key = address.removeprefix("s3://").partition("/")
    content = server.client().get_object(Bucket=bucket, Key=key)["Body"].read()
    assert content == (first.folder / "data/split/manifest.parquet").read_bytes()


def test_nothing_is_to_do_in_a_clone(second: Host) -> None:
    assert UP_TO_DATE in second.done("dvc", "repro")
    assert "All stages are up to date: nothing to do." in second.done("flows", "run")


def test_an_experiment_in_a_temporary_folder(second: Host) -> None:
    second.done("dvc", "exp", "run", "--temp", "--name", "short", "-S", f"{STEPS}=3")
    assert "short" in second.done("dvc", "exp", "show", "--csv")
    runs = runs_in(f"sqlite:///{second.folder}/mlflow.db")
    (run,) = (run for run in runs if run.info.run_name == "explain")
    assert run.info.status == "FINISHED"
    client = MlflowClient(f"sqlite:///{second.folder}/mlflow.db")
    assert client.list_artifacts(run.info.run_id)
    assert Path(run.info.artifact_uri).is_relative_to(second.folder / "mlruns")
    assert UP_TO_DATE in second.done("dvc", "repro")


@pytest.fixture
def queue(second: Host) -> Iterator[Host]:
    """A clone; its worker of DVC's queue, which ends when nothing is left to do, does not outlive the test."""
    yield second
    pid = int((second.folder / ".dvc/tmp/exps/celery/dvc-exp-worker-1.pid").read_text())
    with contextlib.suppress(psutil.NoSuchProcess):
        worker = psutil.Process(pid)
        if "queue-worker" in worker.cmdline():
            worker.kill()


def start_queue(host: Host, output: Path) -> None:
    """Start DVC's queue; its worker inherits standard output and would keep a pipe open until it ends."""
    command = [sys.executable, "-m", "dvc", "queue", "start"]
    with output.open("w") as file:
        subprocess.run(
            command, cwd=host.folder, env=host.environment, stdout=file, stderr=subprocess.STDOUT, check=True
        )


def test_an_experiment_in_the_queue(queue: Host, tmp_path: Path) -> None:
    queue.done("dvc", "exp", "run", "--queue", "--name", "slow", "-S", f"{STEPS}=4")
    start_queue(queue, tmp_path / "queue.txt")
    deadline = time.monotonic() + 1200
    while "Success" not in (status := queue.done("dvc", "queue", "status")):
        assert "Failed" not in status, queue.done("dvc", "queue", "logs", "slow")
        assert time.monotonic() < deadline, status
        time.sleep(2)
    assert "macro" in queue.done("dvc", "metrics", "diff", "slow", "--all")
    assert "index.html" in queue.done("dvc", "plots", "diff", "slow")


def test_a_model_is_got_and_imported_from_the_repository(
    second: Host, origin: Path, tmp_path: Path, server: S3Server
) -> None:
    elsewhere = Host(tmp_path / "elsewhere", server.variables)
    elsewhere.folder.mkdir()
    package = {path.name: path.read_bytes() for path in (second.folder / "models/coronet").iterdir()}
    elsewhere.done("dvc", "get", str(origin), "models/coronet", "-o", "got")
    elsewhere.git("init", "-q")
    elsewhere.done("dvc", "init", "-q")
    elsewhere.done("dvc", "import", str(origin), "models/coronet", "-o", "imported")
    for name in ("got", "imported"):
        assert {path.name: path.read_bytes() for path in (elsewhere.folder / name).iterdir()} == package


@pytest.mark.usefixtures("first")
def test_later_stages_run_without_the_raw_images(
    origin: Path, server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host = clone(origin, tmp_path_factory.mktemp("third") / "coronet", server)
    stages = host.done("dvc", "stage", "list", "--name-only", "dvc.yaml").split()
    host.done("dvc", "pull", *stages)
    assert not (host.folder / "data/raw/xray").exists()
    assert "All stages are up to date: nothing to do." in (output := host.done("flows", "run"))
    assert "data/raw/xray is missing" in output
    assert "didn't change" in host.done("dvc", "repro", "--downstream", "materialize_residuals")
    host.set_params({"explain": {"measures": {"deletion_steps": 3}}})
    assert "Running stage 'explain'" in host.done("flows", "run")
    split, report = (host.folder / name for name in ("data/split/manifest.parquet", "reports/split.json"))
    before = split.read_bytes(), report.read_bytes()
    failed = host.run("dvc", "repro", "--single-item", "build_split")
    assert failed.returncode != 0
    assert "data/raw/xray: no such folder" in failed.stdout
    assert (split.read_bytes(), report.read_bytes()) == before


def test_raw_images_that_dvc_tracks_as_a_whole_may_be_missing(tmp_path: Path) -> None:
    whole = Host(make_project(tmp_path / "whole" / "coronet").folder)
    whole.set_params({"data": {"root": "data/raw", "sources": [SOURCE | {"folder": "xray"}]}})
    draw_images(whole.folder / "data/raw/xray", range(9))
    whole.done("dvc", "add", "data/raw")
    whole.done("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    whole.done("dvc", "repro", "build_split")
    whole.done("dvc", "push")
    whole.git("add", ".")
    whole.git("commit", "-qm", "Build a split")
    subprocess.run(["git", "clone", "-q", str(whole.folder), str(tmp_path / "clone" / "coronet")], check=True)
    host = Host(tmp_path / "clone" / "coronet")
    host.done("dvc", "pull", "build_split")
    assert "Stage 'build_split' didn't change" in host.done("dvc", "repro", "--allow-missing", "build_split")
    assert not (host.folder / "data/raw").exists()

    note = host.folder / "data/raw.dvc"
    note.write_text(re.sub("md5: .*[.]dir", f"md5: {'0' * 32}.dir", note.read_text()))  # other images, not here either
    failed = host.run("dvc", "repro", "--allow-missing", "build_split")
    assert failed.returncode != 0
    assert "No such file or directory" in failed.stdout
    assert (host.folder / "reports/split.json").read_bytes() == (whole.folder / "reports/split.json").read_bytes()


RETRAIN = """
from flows.pipeline.run import run_to_end
from flows.retrain import retrain
print("ENDED", run_to_end(lambda: retrain(publish=True, return_state=True)).message)
"""


def git_state(host: Host) -> list[str]:
    """The branch, the commit, the index, and which files differ from it, but `dvc.lock`, which a run itself changes."""
    commands = (
        ["branch", "--show-current"],
        ["rev-parse", "HEAD"],
        ["diff", "--cached"],
        ["status", "--porcelain", "--", ".", ":(exclude)dvc.lock"],
    )
    return [git_says(host, *command) for command in commands]


def git_says(host: Host, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=host.folder, capture_output=True, text=True, check=True).stdout


def published_branch(host: Host) -> str:
    newest = ("--sort=-committerdate", "--count=1", "--format=%(refname:short)", "refs/heads/retrain")
    return git_says(host, "for-each-ref", *newest).strip()


def test_a_run_is_published_as_a_branch_that_other_clones_pull(first: Host, second: Host) -> None:
    before = git_state(first)
    assert "pushed to origin" in first.done("flows", "publish")
    by_hand = published_branch(first)
    assert f"published as {by_hand}" in first.done("flows", "publish")
    assert git_state(first) == before

    first.set_params({"cin": {"epochs": 1, "learning_rate": 0.01}})  # another network: a version of its own
    changed = git_state(first)
    output = first.finish(RETRAIN)
    assert "shortcut audit" in output
    branch = published_branch(first)
    assert f"; published as {branch}" in output, output
    assert branch != by_hand
    assert git_state(first) == changed

    message = git_says(first, "show", "--no-patch", "--format=%B", branch)
    runs = {run.info.run_id: run for run in runs_in(f"sqlite:///{first.folder}/mlflow.db")}
    (run,) = (run for run_id, run in runs.items() if run_id in message)
    assert "accuracy " in message
    assert run.data.tags["published.branch"] == branch
    assert run.data.tags["published.commit"] == git_says(first, "rev-parse", branch).strip()
    first.done("flows", "models", "register")
    client = MlflowClient(f"sqlite:///{first.folder}/mlflow.db")
    assert client.get_model_version("coronet", "1").tags["published.commit"] == run.data.tags["published.commit"]
    for tag in ("published.commit", "published.branch"):
        client.delete_tag(run.info.run_id, tag)  # as if a push had failed
    assert re.search(rf"ENDED nothing to do: .*; published as {branch}", first.finish(RETRAIN))
    assert "published as" not in first.finish(RETRAIN)
    (registration,) = (one for one in runs_in(f"sqlite:///{first.folder}/mlflow.db") if one.info.run_name == "register")
    assert registration.data.tags["mlflow.parentRunId"] == run.info.run_id

    second.git("fetch", "-q", "origin")
    second.git("checkout", "-q", branch)
    second.done("dvc", "pull")
    assert UP_TO_DATE in second.done("dvc", "repro")


def test_code_that_is_not_committed_is_not_published(first: Host) -> None:
    code = first.folder / "pyproject.toml"
    content = code.read_text()
    code.write_text(content + "# a change\n")
    refused = first.run("flows", "publish")
    code.write_text(content)
    assert refused.returncode == 1
    assert "error: pyproject.toml differs from the current commit" in refused.stdout
    new = first.folder / "tasks" / "new.py"
    new.touch()
    refused = first.run("flows", "publish")
    new.unlink()
    assert refused.returncode == 1
    assert "error: tasks/new.py is not in git" in refused.stdout
