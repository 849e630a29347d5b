"""The last run against the champion and the previous run: looked up, and written as a page."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from coronet_core.support.errors import CoroNetError, DataError
from flows.project.preconditions import has_registry
from flows.servers.addresses import known_mlflow
from tasks.promotion.run_differences import Against, former_run
from tasks.promotion.run_reports import Evidence
from tasks.report.pages import interval_name, write_page
from tasks.runtime.files import write_json
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import DIFFERENCES, DIFFERENCES_PAGE

CHAMPION: Final = "champion"
PREVIOUS: Final = "previous"
TITLES: Final = {CHAMPION: "the champion", PREVIOUS: "the previous run"}
USUAL: Final = (CHAMPION, PREVIOUS)


def compare_last_run(others: Sequence[str] = USUAL) -> list[Against]:
    """Compare the last run in the current folder with each of `others`; write `reports/differences.{json,html}`.

    An other is `champion`, `previous` or a registered version. What cannot be compared has a reason instead of figures.
    """
    params = read_params()
    found = [Against.of(TITLES.get(one, f"version {one}"), partial(_evidence, one), params) for one in others]
    write_json(DIFFERENCES, {"confidence": params.evaluate.confidence, "against": [one.as_json() for one in found]})
    content = {
        "against": found,
        "sections": {f"against-{i}": one.name.capitalize() for i, one in enumerate(found)},
        "interval_name": interval_name(params.evaluate.confidence),
    }
    write_page(DIFFERENCES_PAGE, "differences.html.j2", content)
    return found


def forget_differences() -> None:
    """Delete the page and the JSON: they are of a run that will not be the last one any more."""
    for path in (DIFFERENCES_PAGE, DIFFERENCES):
        path.unlink(missing_ok=True)


def _evidence(other: str) -> Evidence:
    if other == PREVIOUS:
        return former_run()
    mlflow = known_mlflow()
    if mlflow.is_configured and not mlflow.is_running:
        raise CoroNetError(f"MLflow's server is not running at {mlflow.page}, and only the registry knows it.")
    if not has_registry():
        raise DataError("there is no registry yet: `coronet promote` registers the last run.")
    from tasks.registry.versions import champion, find_version  # late: MLflow

    version = champion() if other == CHAMPION else find_version(other)
    if version is None:
        raise DataError("there is none yet: `coronet promote` tests the last run against the promotion rules.")
    from tasks.registry.fetching import fetch  # late: torch, which most runs need for their stages alone

    return Evidence.of_package(version.number, fetch(version))
