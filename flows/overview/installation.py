"""What the project needs beside the machine: its files, git, DVC's remote, servers."""

import shutil
from typing import Final

from dvc.exceptions import DvcException
from dvc.repo import Repo

from coronet_core.support.credentials import first_words, without_credentials
from coronet_core.support.errors import CoroNetError
from flows.overview.finding import Finding
from flows.project.git import run_git
from flows.project.preconditions import require_git, require_project
from flows.project.raw_data import require_raw_data
from flows.servers.addresses import known_mlflow, known_prefect
from tasks.runtime.params.checks import read_params
from tasks.runtime.tracking.mlflow_delivery import shown_tracking_uri
from tasks.runtime.tracking.provenance import library_versions, short_commit

ADD_REMOTE: Final = "`dvc remote add --default NAME URL`"


def check_software() -> Finding:
    """Return the versions of Python and of the libraries that decide what a run computes."""
    return Finding(
        what="software", found=", ".join(f"{name} {version}" for name, version in library_versions().items())
    )


def check_project() -> Finding:
    """Return whether the current folder is a project with sound parameters."""
    try:
        require_project()
    except CoroNetError as error:
        return Finding(what="project", found="cannot be run", level="missing", remedy=str(error))
    return Finding(what="project", found="dvc.yaml and params.yaml are sound")


def check_raw_data() -> Finding:
    """Return whether there are raw images to build a split from; to be called if the parameters are sound."""
    try:
        require_raw_data()
    except CoroNetError as error:
        return Finding(what="raw images", found="none", level="warning", remedy=str(error))
    are_drawn = all(source.kind == "phantom" for source in read_params().data.sources)
    return Finding(what="raw images", found="none needed: phantoms are drawn" if are_drawn else "their folder is here")


def check_git() -> Finding:
    """Return whether git is installed, and knows this folder and its user."""
    if shutil.which("git") is None:
        return Finding(what="git", found="not installed", level="missing", remedy="Install git.")
    try:
        require_git()
    except CoroNetError as error:
        remedy = f"{error} Without it, runs are tracked without a commit."
        return Finding(what="git", found="no git clone with a commit here", level="warning", remedy=remedy)
    found = f"commit {short_commit()}"
    unset = [key for key in ("user.name", "user.email") if not run_git("config", key).stdout.strip()]
    if unset:
        remedy = f"Set your name for commits: `git config {unset[0]} ...`."
        return Finding(what="git", found=f"{found}, no {' and no '.join(unset)}", level="warning", remedy=remedy)
    return Finding(what="git", found=f"{found}, user {run_git('config', 'user.name').stdout.strip()}")


def check_dvc(*, tries_remote: bool) -> Finding:
    """Return whether DVC has a default remote and, with `tries_remote`, whether that answers."""
    try:
        with Repo(".") as repo:
            name = repo.config["core"].get("remote")
            if not name:
                remedy = f"Results are on this disk alone. To share or keep them: {ADD_REMOTE}."
                return Finding(what="DVC remote", found="none", level="warning", remedy=remedy)
            found = f"{name}, {without_credentials(str(repo.config['remote'].get(name, {}).get('url', 'no address')))}"
            if not tries_remote:
                return Finding(what="DVC remote", found=f"{found}, not tried (--remote tries it)")
            return _tried(repo, found)
    except DvcException as error:
        remedy = "Work in a git clone of the project."
        return Finding(what="DVC remote", found=first_words(error, 200), level="missing", remedy=remedy)


def check_servers() -> list[Finding]:
    """Return whether Prefect's server and MLflow's answer, where they are configured."""
    prefect, mlflow = known_prefect(), known_mlflow()
    of_prefect = Finding(what="Prefect", found=f"{prefect.page} answers")
    if prefect.is_configured and not prefect.is_running:
        remedy = "Start it, or unset PREFECT_API_URL: `coronet run` then starts a server of its own."
        of_prefect = Finding(what="Prefect", found=f"{prefect.page} does not answer", level="missing", remedy=remedy)
    elif not prefect.is_configured:
        of_prefect = Finding(what="Prefect", found="no server is configured: each run starts its own")
    of_mlflow = Finding(what="MLflow", found=f"{shown_tracking_uri()}{' answers' if mlflow.is_configured else ''}")
    if mlflow.is_configured and not mlflow.is_running:
        remedy = "Start it, or correct MLFLOW_TRACKING_URI. Until then records of runs are kept here and sent later."
        of_mlflow = Finding(what="MLflow", found=f"{mlflow.page} does not answer", level="warning", remedy=remedy)
    return [of_prefect, of_mlflow]


def _tried(repo: Repo, found: str) -> Finding:
    try:
        store = repo.cloud.get_remote_odb()
        store.fs.ls(store.path)
    except FileNotFoundError:
        remedy = "`dvc push` makes its folder, if the disk or the bucket is there."
        return Finding(what="DVC remote", found=f"{found}, nothing there yet", level="warning", remedy=remedy)
    except Exception as error:  # noqa: BLE001  # whatever the client library of a remote raises
        reason = f"{type(error).__name__}: {first_words(error, 200)}"
        remedy = f"{reason}. Check the network, the address and the credentials."
        return Finding(what="DVC remote", found=f"{found}, cannot be read", level="missing", remedy=remedy)
    return Finding(what="DVC remote", found=f"{found}, can be read")
