"""What `coronet doctor` does: look at what a run needs, and say what is wrong with it."""

from collections.abc import Iterable
from typing import Final

from flows.overview.finding import Finding
from flows.overview.installation import (
    check_dvc,
    check_git,
    check_project,
    check_raw_data,
    check_servers,
    check_software,
)
from flows.overview.machine import check_disk, check_gpus, check_memory, check_number_format, check_threads
from tasks.runtime.params.checks import read_params
from tasks.runtime.safe_text.terminal import printable

LEVEL_WIDTH: Final = 9
WIDTH: Final = 15


def examine(*, tries_remote: bool) -> int:
    """Print a line a finding, and what to do about it; returns 1 if something that is needed is missing, else 0."""
    is_missing = False
    for finding in findings(tries_remote=tries_remote):
        is_missing |= finding.level == "missing"
        print(f"{finding.level:{LEVEL_WIDTH}}{finding.what:{WIDTH}}{printable(finding.found)}", flush=True)
        if finding.remedy:
            print(f"{'':{LEVEL_WIDTH + WIDTH}}{printable(finding.remedy)}", flush=True)
    return int(is_missing)


def findings(*, tries_remote: bool) -> Iterable[Finding]:
    """Yield one finding after the other."""
    project = check_project()
    params = read_params() if project.level == "ok" else None
    yield project
    yield check_software()
    yield check_disk()
    yield check_memory()
    yield check_threads()
    yield check_number_format(params)
    yield check_gpus(params)
    yield check_git()
    if params is not None:
        yield check_raw_data()
    yield check_dvc(tries_remote=tries_remote)
    yield from check_servers()
