"""What it costs to begin: `python -m benchmarks.startup [--rounds 5]`, on an idle machine.

In a copy of the project with few images, all of it up to date: `coronet --help`, `dvc status`, `coronet run` with
nothing to do, and each stage run again as a flow runs it. A stage's own time is what `dvc repro --single-item` takes,
less the work of the stage: DVC, Python, imports, digests and records. Beside them, in the same rounds, what nobody can
do without: an empty Python and one that imports torch. Medians, smallest and largest; `benchmarks/startup.json`.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from benchmarks.project import copy_project, environment_of
from tasks.files import write_json
from tasks.tracking.run import DELIVERED_VARIABLE

RESULTS: Final = Path(__file__).with_name("startup.json")
TIMED: Final = "python -m benchmarks.timed_work"
RUN: Final = ("-m", "flows", "run")
TORCH: Final = "Python that imports torch"
STAGES: Final = (
    "build_split",
    "train_autoencoder@healthy",
    "materialize_residuals",
    "train_cin",
    "calibrate",
    "evaluate",
    "audit",
    "explain",
    "report",
    "package",
)


def prepare(folder: Path) -> None:
    """Make a project of few images and epochs, each of whose stages notes how long its work took."""
    copy_project(folder)
    yaml, path = YAML(), folder / "params.yaml"
    params = yaml.load(path.read_text(encoding="utf-8"))
    (source,) = params["data"]["sources"]
    source["patients"] = {"healthy": 12, "pneumonia": 12, "covid19": 9}
    params["autoencoder"]["epochs"] = params["cin"]["epochs"] = params["explain"]["perturbation"]["iterations"] = 1
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    stages = folder / "dvc.yaml"
    stages.write_text(stages.read_text().replace("cmd: python -m tasks ", f"cmd: {TIMED} "))


def seconds(folder: Path, *command: str, **variables: str) -> float:
    """Return how long a command of this Python takes in `folder`; `variables` are added to its environment."""
    began = time.monotonic()
    finished = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment_of(folder) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        sys.exit(f"{' '.join(command)} has failed:\n{finished.stdout[-3000:]}")
    return time.monotonic() - began


def own_seconds(folder: Path, stage: str) -> float:
    """Return how long a stage takes under a flow, less its work."""
    command = ("-m", "flows.child", "dvc", "--wait-for-lock", "repro", "--single-item", "--force", stage)
    whole = seconds(folder, *command, **{DELIVERED_VARIABLE: "true"})
    return whole - float((folder / ".coronet" / "timed" / stage).read_text())


def measures(folder: Path) -> dict[str, Callable[[], float]]:
    """Return what is measured in every round, by name."""
    commands = {
        "empty Python": ("-c", "pass"),
        TORCH: ("-c", "import torch"),
        "coronet --help": ("-m", "flows", "--help"),
        "dvc status": ("-m", "dvc", "status"),
        "coronet run, nothing to do": RUN,
    }
    return {name: lambda command=command: seconds(folder, *command) for name, command in commands.items()} | {
        f"{stage}, own time": lambda stage=stage: own_seconds(folder, stage) for stage in STAGES
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description="What it costs to begin.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="startup-") as parent:
        folder = Path(parent, "coronet")
        prepare(folder)
        measured = measures(folder)
        taken: dict[str, list[float]] = {name: [] for name in measured}
        for _ in range(rounds):
            seconds(folder, *RUN)  # tells MLflow what the stages of the round before have recorded
            for name, measure in measured.items():
                taken[name].append(measure())
    print(f"{'':36}{'seconds':>9}{'smallest to largest':>22}{'of torch':>10}")
    rows = {}
    for name, values in taken.items():
        ratio = statistics.median(value / torch for value, torch in zip(values, taken[TORCH], strict=True))
        rows[name] = {"seconds": values, "of_importing_torch": ratio}
        print(f"{name:36}{statistics.median(values):9.2f}{f'{min(values):.2f} to {max(values):.2f}':>22}{ratio:10.2f}")
    write_json(RESULTS, rows)


if __name__ == "__main__":
    main()
