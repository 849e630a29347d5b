"""The run of a stage that tells nobody: of training processes, the first alone is on record."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.tracking.run import StageRun


class SilentRun(StageRun):
    """A StageRun without a record."""

    def __init__(self) -> None:
        """Record nothing."""

    @property
    def run_id(self) -> None:
        """There is none."""

    @property
    def parent_run_id(self) -> None:
        """There is none."""

    @property
    def resumption(self) -> None:
        """There is none."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log nothing."""

    def artifact(self, path: Path) -> None:
        """Log nothing."""

    def dataset(self, manifest: Path) -> None:
        """Log nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Set nothing."""

    def deliver(self) -> None:
        """Tell nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End nothing."""
