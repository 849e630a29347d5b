"""The last run for others: DVC's remote gets what it made, and a branch of its own the commit that names it.

The commit has `dvc.lock`, `params.yaml` and the `.dvc` files on top of the code's commit; its message has the figures
and the run. The run in MLflow and the registered version, if there is one, name the commit.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dvc.repo import Repo

from coronet_core.support.credentials import without_credentials
from coronet_core.support.errors import CoroNetError
from flows.monitoring.artifacts import headline
from flows.project.git import CODE, changed_files, commit_on, new_files, push_branch
from flows.project.processes import dvc_process, error_from_output, stage_environment
from tasks.registry.version_lineage import PackageRun, name_publication, run_of_package
from tasks.runtime.params.checks import PARAMS_FILE
from tasks.runtime.paths import DVC_LOCK, PACKAGE
from tasks.runtime.tracking.mlflow_delivery import page_of_run, shown_tracking_uri

FILES: Final = (DVC_LOCK, PARAMS_FILE)


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A published run."""

    branch: str
    commit: str
    is_pushed: bool

    def __str__(self) -> str:
        """Return where it is."""
        where = "pushed to origin" if self.is_pushed else "not pushed: there is no git remote `origin`"
        return f"published as {self.branch} ({self.commit[:12]}), {where}"


def require_publishable() -> None:
    """Require a remote for DVC, and code as the current commit has it: the branch is to say which code was run."""
    with Repo(".") as repo:
        if not repo.config["core"].get("remote"):
            raise CoroNetError(
                "DVC has no default remote, so others could not get the run. Add one: dvc remote add --default ..."
            )
    if changed := changed_files(*_files()):
        raise CoroNetError(
            f"{changed[0]} differs from the current commit, so the branch would not say which code was run. Commit "
            "your changes first."
        )
    if new := new_files(*CODE):
        raise CoroNetError(
            f"{new[0]} is not in git, so the branch would not have all the code that was run. Commit it, or delete it."
        )


def publish(run_id: str | None = None) -> Publication:
    """Publish the last run, which MLflow calls `run_id`; default: the run that made the package.

    One that is published already is pushed again, to both remotes.

    Raises CoroNetError if there is none, or if it cannot be published; TransientError if a server is away.
    """
    require_publishable()
    run = run_of_package(PACKAGE, run_id)
    branch = f"retrain/{run.date}-{run.run_id[:8]}"
    _push_to_dvc()
    commit = commit_on(branch, _files(), _message(run))
    published = Publication(branch=branch, commit=commit, is_pushed=push_branch(branch))
    name_publication(run, commit, branch)
    return published


def _files() -> list[Path]:
    """Return the files of which the commit has the present state: those that runs and `dvc update` change."""
    with Repo(".") as repo:
        return [*FILES, *sorted({Path(stage.relpath) for stage in repo.index.stages if not stage.cmd})]


def _push_to_dvc() -> None:
    with dvc_process(["push"], Path(), stage_environment(), set()) as process:
        lines = [text for line in process.stdout or () if (text := without_credentials(line.rstrip()))]
        code = process.wait()
    if code != 0:
        raise error_from_output(lines, code)


def _message(run: PackageRun) -> str:
    page = page_of_run(run.run_id) or f"{run.run_id} in {shown_tracking_uri()}"
    version = "" if run.version is None else f"\nRegistered version: {run.version.uri}"
    return f"Retrain, {run.date}\n\n{headline()}\n\nMLflow run: {page}{version}"
