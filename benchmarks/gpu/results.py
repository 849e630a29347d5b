"""The table and the JSON, written anew with every row: what was measured survives whatever comes next."""

import json
from pathlib import Path
from typing import Any

from benchmarks.gpu.goals import goal_lines
from benchmarks.gpu.rows import Row
from tasks.runtime.files import write_text


class Results:
    """The rows of a run, on disk in `folder` as `on_gpu.json` and `on_gpu.txt`."""

    def __init__(self, folder: Path, head: dict[str, Any], *, counts: bool) -> None:
        """`head` describes the run. `counts` says that goals can be judged by it."""
        self._folder = folder
        self._head = head
        self._counts = counts
        self.rows: list[Row] = []
        self._write("under way")

    def add(self, row: Row) -> None:
        """Print and keep a row."""
        self.rows.append(row)
        print(row, flush=True)
        self._write("under way")

    def finish(self, end: str) -> None:
        """Print the goals and keep them, and how the run came to its end."""
        print("\n".join(["", *goal_lines(self.rows, counts=self._counts), end]), flush=True)
        self._write(end)

    def _write(self, end: str) -> None:
        goals = goal_lines(self.rows, counts=self._counts)
        content = {**self._head, "end": end, "rows": [row.to_dict() for row in self.rows], "goals": goals}
        write_text(self._folder / "on_gpu.json", json.dumps(content, indent=2) + "\n")
        head = [f"{name}: {value}" for name, value in self._head.items()]
        lines = [*head, "", *map(str, self.rows), "", *goals, end]
        write_text(self._folder / "on_gpu.txt", "\n".join(lines) + "\n")
