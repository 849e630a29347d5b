"""What it costs to begin: `python -m benchmarks.startup [--rounds 5]`, on an idle machine.

In a copy of the project with few images, all of it up to date: `coronet --help`, `dvc status`, `coronet run` with
nothing to do, and each stage run again as a flow runs it. A stage's own time is what `dvc repro --single-item` takes,
less the work of the stage: DVC, Python, imports, digests and records. Beside them, in the same rounds, what nobody can
do without: an empty Python and one that imports torch. Medians, smallest and largest; `benchmarks/startup.json`.
"""

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from benchmarks.project import copy_project, run_python, time_stages
from flows.project.graph import read_graph
from tasks.runtime.files import write_json
from tasks.runtime.tracking.stage_run import DELIVERED_VARIABLE

RESULTS: Final = Path(__file__).with_name("startup.json")
RUN: Final = ("-m", "flows", "run")
TORCH: Final = "Python that imports torch"


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
    time_stages(folder, "benchmarks.timed_work")


def seconds(folder: Path, *arguments: str, **variables: str) -> float:
    """Return how long this Python takes in `folder`; `variables` are added to its environment."""
    return run_python(folder, *arguments, **variables)[1]


def own_seconds(folder: Path, stage: str) -> float:
    """Return how long a stage takes under a flow, less its work."""
    command = (
        "-m",
        "flows.project.subprocess_entry",
        "dvc",
        "--wait-for-lock",
        "repro",
        "--single-item",
        "--force",
        stage,
    )
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
    with contextlib.chdir(folder):
        stages = [stage.name for stage in read_graph()]
    return {name: lambda command=command: seconds(folder, *command) for name, command in commands.items()} | {
        f"{stage}, own time": lambda stage=stage: own_seconds(folder, stage) for stage in stages
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
