"""`python -m benchmarks.timed_work STAGE [ITEM]`: what `python -m tasks` does, and a note of how long its work took.

The work is the stage's `run`: neither the start of Python nor imports nor what is written down for MLflow.
"""

import importlib
import sys
import time
from pathlib import Path
from typing import Any


def note_work(stage: str, note: Path) -> None:
    """Have the seconds of the stage's `run` in this process written to `note`."""
    module = importlib.import_module(f"tasks.{stage}")
    work = module.run

    def run(*args: Any) -> None:
        began = time.monotonic()
        work(*args)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{time.monotonic() - began:.3f}")

    module.run = run  # type: ignore[attr-defined]


if __name__ == "__main__":
    from tasks.runtime.command import main

    note_work(sys.argv[1], Path(".coronet", "timed", "@".join(sys.argv[1:])))
    sys.exit(main())
