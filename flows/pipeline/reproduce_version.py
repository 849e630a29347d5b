"""`coronet reproduce VERSION`: the version's commit, params and raw data once more, run as far as the figures.

It happens in a git worktree, `.coronet/reproductions/<package digest>`, which shares DVC's cache, the raw data and the
records for MLflow with the clone. No stage takes its outs from the cache: what DVC would restore would prove nothing.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dvc.repo import Repo
from ruamel.yaml import YAML

from coronet_core.support.credentials import without_credentials
from coronet_core.support.errors import CoroNetError
from coronet_core.support.plurals import counted
from coronet_core.support.whole_files import write_whole
from flows.project.live_params import prepare
from flows.project.processes import dvc_process, error_from_output, stage_environment
from flows.project.run_lock import alone
from flows.project.workspace import entries_kept, link_folder
from flows.project.worktree import check_out, link_raw_data, use_clones_dvc
from tasks.package.dvc_lock import Lock
from tasks.package.metadata import Lineage, read_description
from tasks.registry.fetching import fetch
from tasks.registry.version_lineage import metrics_of
from tasks.registry.versions import Version, find_version
from tasks.runtime.files import read_json
from tasks.runtime.params.checks import PARAMS_FILE, read_params
from tasks.runtime.params.weights_files import use_full_paths
from tasks.runtime.paths import DVC_LOCK, MANIFEST, METRICS, SPLIT, STATE
from tasks.runtime.resource_limits import oom_kills
from tasks.runtime.safe_text.identifiers import DVC_MD5, matching
from tasks.runtime.safe_text.terminal import printable
from tasks.runtime.tracking.mlflow_delivery import absolute_tracking_uri
from tasks.runtime.tracking.stage_run import PARENT_VARIABLE, StageRun
from tasks.runtime.tracking.temporary_folders import RECORDS
from tasks.studies.differences import Difference, differences

REPRODUCTIONS: Final = STATE / "reproductions"
LAST_STAGE: Final = "evaluate"
MAX_SHOWN: Final = 20
"""Figures that are printed; metrics.json has the others."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came of it."""

    folder: Path
    differing_figures: list[Difference]
    differing_files: list[str]
    """Data, outs and code of which DVC has another digest than the version's lineage."""
    same_files: int


def reproduce(name: str, tolerance: float) -> tuple[Version, Reproduction]:
    """Run the DAG of the version called `name` as far as `evaluate`, and compare.

    A killed run resumes where it stopped. Raises CoroNetError when the version does not say enough of itself, when
    its commit is not to be had, or when a stage fails.
    """
    prepare(None)
    version = find_version(name)
    lineage = read_description(fetch(version)).lineage
    expected = metrics_of(version)
    folder = REPRODUCTIONS / version.digest
    with alone(folder.with_suffix(".lock"), f"reproduce {name}"):
        _open(folder, lineage)
        with StageRun("reproduce", lineage.params) as run:
            run.deliver()  # now, so that the stages find their parent
            _run_dag(folder, run)
            found = read_json(folder / METRICS)
            differing = differences(expected, found, tolerance)
            run.metrics({"differences": len(differing)})
        here, there = Lock(folder).md5s(), lineage.data | lineage.code
    compared = sorted(here.keys() & there.keys())
    return version, Reproduction(
        folder=folder,
        differing_figures=differing,
        differing_files=[path for path in compared if here[path] != there[path]],
        same_files=sum(here[path] == there[path] for path in compared),
    )


def print_reproduction(name: str, tolerance: float) -> None:
    """Reproduce the version called `name` and say whether its figures match. Raises CoroNetError if they do not."""
    version, made = reproduce(name, tolerance)
    print(
        f"{counted(made.same_files, 'file is', 'files are')} the same byte by byte: raw data, outs and code as far as "
        f"{LAST_STAGE}"
    )
    for path in made.differing_files:
        print(f"different file: {printable(path)}")
    for one in made.differing_figures[:MAX_SHOWN]:
        print(printable(f"differs: {one.name} = {one.found}, was {one.expected}"))
    allowed = "exactly" if tolerance == 0 else f"within {tolerance:g}"
    if made.differing_figures:
        differing = counted(len(made.differing_figures), "figure differs", "figures differ")
        raise CoroNetError(
            f"version {version.number} is not reproduced: {differing}. {made.folder} has the run. Another processor "
            "or another number of cores changes rounding; --tolerance allows for it."
        )
    print(f"version {version.number} is reproduced: all figures match {allowed}. {made.folder} has the run.")


def _open(folder: Path, lineage: Lineage) -> None:
    """Make or refresh the worktree: code of the commit, params of the version, raw data and cache of the clone."""
    own_lock = folder / DVC_LOCK
    entries_kept(own_lock)  # a damaged one is set aside
    kept = own_lock.read_bytes() if own_lock.is_file() else None
    check_out(lineage.commit, folder, "this clone")
    if kept is None:  # the commit's would say that all is there
        own_lock.unlink(missing_ok=True)
    else:
        write_whole(own_lock, lambda partial: partial.write_bytes(kept))
    _write_params(folder / PARAMS_FILE, lineage.params)
    use_clones_dvc(folder)
    link_folder(RECORDS, folder / RECORDS)
    link_raw_data(Path(lineage.params["data"]["root"]), folder)
    if not (folder / MANIFEST).is_file():
        _bring_manifest(lineage, folder)


def _write_params(target: Path, params: Mapping[str, Any]) -> None:
    """Put the version's `params` into the commit's params.yaml; a file of weights is named by its full path."""
    yaml = YAML()
    values = yaml.load(target.read_text(encoding="utf-8"))
    for section, value in params.items():
        if isinstance(value, Mapping) and isinstance(values.get(section), Mapping):
            values[section].update(value)
        else:
            values[section] = value
    use_full_paths(values)
    write_whole(target, lambda partial: yaml.dump(values, partial))
    read_params(target)


def _bring_manifest(lineage: Lineage, folder: Path) -> None:
    """Give `build_split` the version's manifest as its last one, where the cache has it: patients keep their split."""
    md5 = lineage.data.get(str(SPLIT), "")
    with Repo(".") as repo:
        cache = repo.cache.local
        listing = Path(cache.oid_to_path(md5)) if md5 else Path()
        if not listing.is_file():
            return
        entries = {entry["relpath"]: entry["md5"] for entry in json.loads(listing.read_text(encoding="utf-8"))}
        kept = Path(cache.oid_to_path(matching(DVC_MD5, entries[MANIFEST.name], f"{listing}: digest")))
        if kept.is_file():
            write_whole(folder / MANIFEST, lambda partial: shutil.copyfile(kept, partial))


def _run_dag(folder: Path, run: StageRun) -> None:
    environment = stage_environment(**{PARENT_VARIABLE: run.key, "MLFLOW_TRACKING_URI": absolute_tracking_uri()})
    lines: list[str] = []
    kills_before = oom_kills()
    with dvc_process(["repro", "--no-run-cache", LAST_STAGE], folder, environment, set()) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            print(printable(without_credentials(lines[-1])), flush=True)
        code = process.wait()
    if code != 0:
        raise error_from_output([line for line in lines if line], code, was_oom_kill=oom_kills() != kills_before)
