"""What `coronet report` prints."""

from collections.abc import Iterable, Iterator, Sequence

from flows.pipeline.run_comparison import USUAL, compare_last_run
from flows.project.summary import print_tables
from tasks.promotion.run_differences import Against, Difference
from tasks.runtime.paths import AUDIT, DIFFERENCES_PAGE, METRICS, REPORT
from tasks.runtime.safe_text.terminal import printable

WIDTH = 26


def print_report(others: Sequence[str] | None) -> int:
    """Print the figures of the last run, and how it differs from `others`, as `compare_last_run` takes them.

    Returns 1 if it cannot be compared with one of `others`, else 0. Without `others` it is shown beside what there is.
    """
    print_tables(METRICS, AUDIT)
    against = compare_last_run(others or USUAL)
    print_differences(against)
    print(f"Report: {REPORT.resolve()}")
    print(f"Differences: {DIFFERENCES_PAGE.resolve()}")
    return int(bool(others) and any(one.reason for one in against))


def print_differences(against: Iterable[Against]) -> None:
    """Print the figures of each comparison, or why there are none."""
    for one in against:
        for line in _lines(one):
            print(printable(line))


def _lines(one: Against) -> Iterator[str]:
    if one.reason is not None:
        yield f"Not compared with {one.name}: {one.reason}"
        return
    yield f"Against {one.name}, last run minus the other. {' '.join(one.notes)}"
    for row in one.figures:
        yield f"  {row.title:{WIDTH}}{_signed(row)}"


def _signed(row: Difference) -> str:
    if row.difference is None:
        return "undefined"
    of_both = f"{row.last:.3f} and {row.other:.3f}"
    if row.interval is None:
        return f"{row.difference:+.3f}, too few patients for an interval ({of_both})"
    return f"{row.difference:+.3f} ({row.interval[0]:+.3f} to {row.interval[1]:+.3f}); {of_both}"
