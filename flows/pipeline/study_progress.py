"""How far a study is: variants done, time passed and time left, in the log and on Prefect's page."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import fmean
from threading import Lock

from prefect import get_run_logger

from coronet_core.support.plurals import counted
from flows.monitoring.stage_progress import ProgressArtifact, clock


class StudyProgress:
    """The variants of a study as they are done; to be used within its flow, by several threads if need be.

    Variants that train autoencoders are taken to last as long as each other, and so are those that take another's.
    Variants that were up to date say nothing of the others.
    """

    def __init__(self, study: str, train_autoencoders: Iterable[bool], n_lanes: int) -> None:
        self._left = Counter(train_autoencoders)
        self._total, self._n_lanes = self._left.total(), n_lanes
        self._seconds: defaultdict[bool, list[float]] = defaultdict(list)
        self._began_s = time.monotonic()
        self._artifact, self._lock = ProgressArtifact(study), Lock()

    def done(self, took_s: float | None, *, trains_autoencoders: bool) -> None:
        """Count a variant as done, and show it. `took_s` is None if it was up to date."""
        with self._lock:
            self.count(took_s, trains_autoencoders=trains_autoencoders)
            text = self.text(time.monotonic() - self._began_s)
            get_run_logger().info(text)
            self._artifact.show(100 * (self._total - self._left.total()) / self._total, text)

    def count(self, took_s: float | None, *, trains_autoencoders: bool) -> None:
        """Count a variant as done, as `done` does."""
        self._left[trains_autoencoders] -= 1
        if took_s is not None:
            self._seconds[trains_autoencoders].append(took_s)

    def text(self, elapsed_s: float) -> str:
        """Return how far the study is: "3 of 30 variants done, 0:10:00 elapsed, about 1:30:00 left"."""
        n_left = self._left.total()
        words = f"{self._total - n_left} of {counted(self._total, 'variant')} done, {clock(elapsed_s)} elapsed"
        if not n_left or not self._seconds:
            return words
        of_any = fmean(second for seconds in self._seconds.values() for second in seconds)
        known = {trains: fmean(seconds) for trains, seconds in self._seconds.items()}
        left_s = sum(n * known.get(trains, of_any) for trains, n in self._left.items())
        return f"{words}, about {clock(left_s / min(self._n_lanes, n_left))} left"
