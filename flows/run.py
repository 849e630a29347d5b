"""What `coronet run` and `python -m flows.retrain` do: check, run what is stale, show the figures."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from coronet_core.errors import CoroNetError
from flows.graph import read_graph, stale_stages
from flows.process import end_descendants
from flows.summary import print_tables
from tasks.files import write_whole
from tasks.params_file import PARAMS_FILE, read_params
from tasks.paths import METRICS, REPORT

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

PREVIOUS_PARAMS = PARAMS_FILE.with_suffix(".yaml.previous")


def main(run_flow: Callable[[], "State[Any]"], params_file: Path | None = None) -> int:
    """Bring the project in the current folder up to date; returns the exit code.

    `run_flow` runs the flow `retrain` to its final state; it is not called when there is nothing to do. `params_file`
    becomes the live `params.yaml` first. One line on standard error for each thing that went wrong.
    """
    try:
        _require_project()
        if params_file is not None:
            _install_params(params_file)
        read_params()
        if stale_stages(stage.name for stage in read_graph()):
            signal.signal(signal.SIGINT, _stop)
            _require_completed(run_flow())
        else:
            print("All stages are up to date: nothing to do.")
    except CoroNetError as error:
        print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    _show_results()
    return 0


def _stop(*_: object) -> NoReturn:
    """End at once. The terminal's Ctrl-C reaches Prefect's temporary server too, without which Prefect would wait."""
    end_descendants()
    print("Stopped. The same command goes on where it was.", file=sys.stderr, flush=True)
    os._exit(130)


def _require_project() -> None:
    if not Path("dvc.yaml").is_file():
        raise CoroNetError(f"{Path.cwd()}: no dvc.yaml here. Change to the folder of the project.")


def _install_params(source: Path) -> None:
    """Make `source` the live params.yaml; what was there is kept beside it."""
    read_params(source)
    if source.resolve() == PARAMS_FILE.resolve():
        return
    if PARAMS_FILE.is_file() and PARAMS_FILE.read_bytes() != source.read_bytes():
        write_whole(PREVIOUS_PARAMS, lambda partial: shutil.copyfile(PARAMS_FILE, partial))
        print(f"{PARAMS_FILE} is now {source}; the former one is kept as {PREVIOUS_PARAMS}.")
    write_whole(PARAMS_FILE, lambda partial: shutil.copyfile(source, partial))


def _require_completed(state: "State[Any]") -> None:
    if not state.is_completed():
        raise CoroNetError(state.message or f"the flow ended as {state.name}")


def _show_results() -> None:
    print_tables(METRICS)
    print(f"Report: {REPORT.resolve()}")
    print("MLflow page:   make mlflow    Prefect page:  make prefect")
