"""The project in the current folder and its live parameters."""

import shutil
from pathlib import Path

from coronet_core.support.whole_files import write_whole
from flows.project.preconditions import require_project
from tasks.runtime.params.checks import PARAMS_FILE
from tasks.runtime.params.presets import whole_file

PREVIOUS_PARAMS = PARAMS_FILE.with_suffix(".yaml.previous")


def prepare(params_file: Path | None) -> None:
    """Check that this folder is a project with sound parameters; `params_file` becomes the live `params.yaml` first."""
    require_project(params_file)
    if params_file is not None:
        _install(params_file)


def _install(source: Path) -> None:
    """Make `source`, with all that it extends, the live params.yaml; what was there is kept beside it."""
    if source.resolve() == PARAMS_FILE.resolve():
        return
    whole = whole_file(source)
    if PARAMS_FILE.is_file() and PARAMS_FILE.read_bytes() != whole:
        write_whole(PREVIOUS_PARAMS, lambda partial: shutil.copyfile(PARAMS_FILE, partial))
        print(f"{PARAMS_FILE} is now {source}; the former one is kept as {PREVIOUS_PARAMS}.")
    write_whole(PARAMS_FILE, lambda partial: partial.write_bytes(whole))
