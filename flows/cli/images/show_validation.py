"""What `coronet validate` does: run the flow, show the figures beside those of the model's own test split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from coronet_core.support.plurals import by_reason, counted
from flows.cli.images.predict_files import exit_code_for
from flows.pipeline.run import run_to_end
from tasks.external_validation.result_folder import LEFT_OUT, PAGE, SUMMARY, require_result_folder
from tasks.runtime.files import read_json
from tasks.runtime.paths import validation_folder
from tasks.runtime.safe_text.terminal import printable

DASH: Final = "–"


def validate_and_show(
    folder: Path, labels: Path | None, model: str | None, out: Path | None, patient_id_pattern: str | None
) -> int:
    """Validate, print the figures and what was left out, and return the exit code. Raises CoroNetError on failure."""
    target = out or validation_folder(folder.resolve().name)
    require_result_folder(target)  # must not wait for Prefect
    from flows.validate import validate  # late: Prefect

    table = None if labels is None else str(labels)
    run_to_end(lambda: validate(str(folder), table, model, str(target), patient_id_pattern, return_state=True))
    found = read_json(target / SUMMARY, "Run `coronet validate` again.")
    Console().print(_figures(found))
    for line in (*_counts(found, target), *_remarks(found)):
        print(printable(line))
    print(f"Page: {(target / PAGE).resolve()}")
    return exit_code_for(sum(found["images"]["unreadable"].values()), found["images"]["listed"])


def _figures(found: dict[str, Any]) -> Table:
    metrics, internal = found["metrics"], found["internal_test"]
    title = f"{counted(metrics['images'], 'image')} of {counted(metrics['patients'], 'patient')}"
    table = Table("", "external", title=title, title_justify="left")
    for name in ("internal test", "difference") if internal else ():
        table.add_column(name)
    for figure in found["figures"].values():
        cells = [_cell(figure["external"], figure["external_interval"])]
        if internal:
            cells += [_cell(figure["internal"], figure["internal_interval"])]
            cells += [_cell(figure["difference"], figure["interval"], "+")]
        table.add_row(figure["title"], *cells)
    return table


def _cell(value: float | None, interval: Sequence[float] | None, sign: str = "") -> str:
    if value is None:
        return DASH
    ends = "" if interval is None else f" ({interval[0]:{sign}.3f} to {interval[1]:{sign}.3f})"
    return f"{value:{sign}.3f}{ends}"


def _counts(found: dict[str, Any], target: Path) -> list[str]:
    images, overlap = found["images"], found["overlap"]
    left_out = {
        ("unreadable", "unreadable"): sum(images["unreadable"].values()),
        ("training image", "training images"): sum(overlap["images"].values()),
        ("of training patients", "of training patients"): overlap["patients"],
        ("duplicate", "duplicates"): images["duplicates"],
        ("duplicate with contradicting label", "duplicates with contradicting labels"): images[
            "contradicting_duplicates"
        ],
    }
    lines = [f"{counted(images['listed'], 'labelled image')}, {images['evaluated']} evaluated"]
    if reasons := [counted(n, *words) for words, n in left_out.items() if n]:
        lines.append(f"left out: {', '.join(reasons)} ({target / LEFT_OUT})")
    lines += [f"unreadable: {reason} ({n})" for reason, n in images["unreadable"].items()]
    if images["skipped"]:
        lines.append(f"skipped: {by_reason(images['skipped'])}")
    return lines


def _remarks(found: dict[str, Any]) -> list[str]:
    verdict = found["audit"]["verdict"]
    audit = [f"Shortcut audit: {'passed' if verdict['passed'] else 'not passed'}", *verdict["findings"]]
    return [*found["conclusions"], *audit, *found["notes"], *(f"warning: {warning}" for warning in found["warnings"])]
