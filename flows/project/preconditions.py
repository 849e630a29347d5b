"""Checks of what a command needs, before anything heavy is imported, started or written.

Each `require_...` raises CoroNetError, with a remedy, if the thing is not there. None of them imports torch, MLflow or
Prefect, or writes; what only a store or a server can tell is left to the command.
"""

import glob
import importlib.util
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import unquote

import typer

import flows
from coronet_core.support.errors import CoroNetError, DataError

PROJECT_FILE: Final = Path("dvc.yaml")
API_VARIABLE: Final = "PREFECT_API_URL"
API_SETTINGS: Final = (API_VARIABLE, "[api]", "[tool.prefect.api]", "api.url")
"""What a settings file of Prefect's holds one of, if it names a server."""
SQLITE: Final = "sqlite:///"


def run_command(
    work: Callable[[], object], *required: Callable[[], object], ends_abandoned_runs: bool = True
) -> NoReturn:
    """Do the `work` of a command once all that is `required` is there, and exit with its code.

    Runs in MLflow that a killed command has left as running are ended before: that may wait for MLflow, and a command
    that is to be quick leaves it to the next.
    """
    from tasks.runtime.error_handling import exit_code  # late: `coronet --help` must not wait for NumPy

    def checked() -> object:
        for require in required:
            require()
        if ends_abandoned_runs:
            from tasks.runtime.tracking.orphaned_runs import end_abandoned_runs

            end_abandoned_runs()
        return work()

    raise typer.Exit(exit_code(checked))


def require_project(params_file: Path | None = None) -> None:
    """Require a project in the current folder, writable, and sound parameters: `params_file`'s or the live ones."""
    if not PROJECT_FILE.is_file():
        raise CoroNetError(f"{Path.cwd()}: no {PROJECT_FILE} here. Change to the folder of the project.")
    if not os.access(Path.cwd(), os.W_OK):
        raise CoroNetError(f"{Path.cwd()}: not writable. Change its permissions, or work in a clone of your own.")
    require_params(params_file)


def require_own_code() -> None:
    """Require that this program is the current folder's own, if that has one: workers run flows where theirs lies.

    The environment of a folder that was moved or copied still names the former one.
    """
    loaded, own = Path(flows.__file__), Path("flows", "__init__.py")
    if own.is_file() and not own.samefile(loaded):
        raise CoroNetError(
            f"{Path.cwd()}: this `coronet` belongs to {loaded.parent.parent}, and its worker would run flows there. "
            "Type `make .venv/.installed` here, then `.venv/bin/coronet up`."
        )


def require_params(params_file: Path | None) -> None:
    """Require sound parameters: `params_file`'s or the live ones."""
    from tasks.runtime.params.checks import PARAMS_FILE, read_params

    read_params(params_file or PARAMS_FILE)


def require_git() -> None:
    """Require that the current folder is in a git clone with a commit."""
    try:
        subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CoroNetError(f"{Path.cwd()}: no git clone with a commit. Clone the project with git.") from error


def require_registry() -> None:
    """Require that there may be registered versions: with SQLite, that its file is there."""
    if not has_registry():
        raise DataError(
            f"no registry at {_registry_uri()}: no version is registered here. Train networks (`coronet run`) and "
            "register them (`coronet models register`), or set MLFLOW_TRACKING_URI."
        )


def has_registry() -> bool:
    """Say whether there may be registered versions: with SQLite, whether its file is there."""
    uri = _registry_uri()
    return not uri.startswith(SQLITE) or Path(unquote(uri.removeprefix(SQLITE).partition("?")[0])).is_file()


def _registry_uri() -> str:
    from tasks.runtime.tracking.mlflow_delivery import tracking_uri

    return os.environ.get("MLFLOW_REGISTRY_URI") or tracking_uri()


def require_model(source: str | None, option: str = "model") -> None:
    """Require what `source`, the value of `option`, names: a package's folder, a registry, or else the last run's."""
    if source is None:
        from tasks.package.dvc_lock import Lock

        Lock(Path()).check_models()
        return
    from tasks.inference.model_source import REGISTRY_SCHEME, local_package

    if source.startswith(REGISTRY_SCHEME):
        require_registry()
    else:
        require_package(local_package(source, option))


def require_package(folder: Path) -> None:
    """Require a package with a sound description in `folder`."""
    from tasks.package.metadata import read_description

    read_description(folder)


def require_up_to_date() -> None:
    """Require that every stage of the project is up to date."""
    from flows.project.graph import read_graph, stale_stages

    if stale := stale_stages(stage.name for stage in read_graph()):
        raise CoroNetError(f"the stage {stale[0]} is not up to date. Run `coronet run` first, or name a version.")


def require_search(space: Path, objective: str, study: str) -> None:
    """Require what a search of `space` by `objective` needs: both sound, a name for its preset, the project's split."""
    from flows.project.graph import stale_stages
    from tasks.runtime.paths import SPLIT_STAGE
    from tasks.studies.search_objective import find_objective
    from tasks.studies.search_space import read_space
    from tasks.studies.tuned_preset import preset_path

    read_space(space, find_objective(objective))
    preset_path(study)
    if stale_stages([SPLIT_STAGE]):
        raise CoroNetError(
            f"the stage {SPLIT_STAGE} is not up to date. Run `coronet run`, or `dvc repro {SPLIT_STAGE}`."
        )


def require_files(paths: Sequence[str]) -> None:
    """Require that each of `paths` on this machine is there, or as a pattern matches something."""
    for path in paths:
        if "://" not in path and not os.path.lexists(path) and next(glob.iglob(path, recursive=True), None) is None:  # noqa: PTH207  # absolute ones too
            raise DataError(f"{path}: no such file or folder, and no file by this pattern. Correct the path.")


def require_prefect_server() -> None:
    """Require that a Prefect server may be set."""
    if not names_prefect_server():
        raise CoroNetError(
            f"no Prefect server: set {API_VARIABLE}, such as http://127.0.0.1:4200/api, or type `coronet up`, which "
            "starts one."
        )


def names_prefect_server() -> bool:
    """Say whether the environment names a Prefect server, or a file in which Prefect looks for settings may."""
    if os.environ.get(API_VARIABLE):
        return True
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml")).expanduser()
    files = [path for path in (profiles, *map(Path, (".env", "prefect.toml", "pyproject.toml"))) if path.is_file()]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    return any(name in text for text in texts for name in API_SETTINGS)


def require_port(host: str, port: int) -> None:
    """Require that this machine can listen at `host` and `port`."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise CoroNetError(
            f"cannot listen on {host}, port {port} ({error.strerror}). Is it taken? Give another with --port."
        ) from error


def require_ray() -> None:
    """Require that Ray is installed."""
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("prefect_ray") is None:
        raise CoroNetError("Ray is not installed. Install the extra: pip install 'coronet[ray]' -c constraints.txt")
