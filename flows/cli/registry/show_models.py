"""What the commands `coronet models ...` do."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from coronet_core.support.errors import DataError
from flows.project.summary import figure, is_area
from tasks.package.metadata import DESCRIPTION, read_description
from tasks.registry.fetching import fetch
from tasks.registry.registration import register
from tasks.registry.signatures import sign
from tasks.registry.version_lineage import (
    COMMIT_TAG,
    DIRTY_TAG,
    DVC_TAG,
    LISTED_FIGURES,
    METRIC_TAG,
    PARAMS_TAG,
    RUN_TAG,
    listed_figures,
)
from tasks.registry.versions import Version, all_versions, find_version
from tasks.runtime.files import publish_folder
from tasks.runtime.paths import PACKAGE, REPORT, SPLIT
from tasks.runtime.safe_text.terminal import printable
from tasks.runtime.tracking.mlflow_delivery import page_of_run

DIGITS: Final = 8


def print_versions() -> None:
    """Print all versions, newest first: a table on a terminal, otherwise lines of tab-separated values."""
    figures = [title if is_area(name) else f"{title} (%)" for name, title in LISTED_FIGURES.items()]
    head = ["version", "aliases", "created (UTC)", *figures, "commit", "split", "package"]
    rows = [[printable(cell) for cell in _row(version)] for version in reversed(all_versions())]
    console = Console()
    if not console.is_terminal:
        print("\n".join("\t".join(row) for row in [head, *rows]))
        return
    table = Table(*head)
    for row in rows:
        table.add_row(*map(Text, row))  # a plain string would be read as rich's markup
    console.print(table)


def print_version(name: str) -> None:
    """Print all that a version says of itself: a table on a terminal, otherwise `key: value` lines."""
    version = find_version(name)
    lines = [(printable(key), printable(value)) for key, value in _told(version)]
    console = Console()
    if not console.is_terminal:
        print("\n".join(f"{key}: {value}" for key, value in lines))
        return
    table = Table(show_header=False, title=f"Version {version.number}", title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))
    console.print(table)


def fetch_to(name: str, out: Path) -> None:
    """Bring the package of a version to the folder `out`. Raises DataError if something else is there."""
    if out.exists() and not (out / DESCRIPTION).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: there already, and no package. Give another folder.")
    version = find_version(name)
    partial, aside = (out.with_name(f".{out.name}.{state}") for state in ("partial", "former"))
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(fetch(version), partial)
    publish_folder(partial, out, aside)
    print(f"version {version.number}: {out.resolve()}")


def register_package(package: Path | None) -> None:
    """Register a package, by default the last run's, and print its version."""
    version = register(package or PACKAGE)
    print(f"version {version.number} ({', '.join(version.aliases)}): {version.uri}")


def sign_package(package: Path | None, key: Path) -> None:
    """Sign a package, by default the last run's, and print its version."""
    version = sign(package or PACKAGE, key)
    print(f"version {version.number}: signed {version.digest}")


def _row(version: Version) -> list[str]:
    return [
        str(version.number),
        ", ".join(version.aliases),
        f"{version.created:%Y-%m-%d %H:%M}",
        *(figure(name, value) for name, value in listed_figures(version).items()),
        version.tags.get(COMMIT_TAG, "")[:DIGITS],
        version.tags.get(f"{DVC_TAG}{SPLIT}", "")[:DIGITS],
        version.digest[:DIGITS],
    ]


def _told(version: Version) -> Iterable[tuple[str, str]]:
    tags = version.tags
    changed = " (files differed from it)" if tags.get(DIRTY_TAG) == "true" else ""
    yield "version", str(version.number)
    yield "aliases", ", ".join(version.aliases) or "none"
    yield "created", f"{version.created:%Y-%m-%d %H:%M} UTC"
    yield "package", version.digest
    yield "commit", tags.get(COMMIT_TAG, "unknown") + changed
    yield "params", tags.get(PARAMS_TAG, "unknown")
    for section, values in read_description(fetch(version)).lineage.params.items():
        yield f"params.{section}", str(values)
    for prefix in (DVC_TAG, METRIC_TAG):
        yield from ((key, value) for key, value in sorted(tags.items()) if key.startswith(prefix))
    for key, run_id in sorted(tags.items()):
        if key.startswith(RUN_TAG):
            yield key, page_of_run(run_id) or run_id
    if report_run := tags.get(f"{RUN_TAG}report"):
        yield "report", f"runs:/{report_run}/{REPORT}"
    known = (DVC_TAG, METRIC_TAG, RUN_TAG, COMMIT_TAG, DIRTY_TAG, PARAMS_TAG, "package.", "mlflow.")
    yield from ((key, value) for key, value in sorted(tags.items()) if not key.startswith(known))
