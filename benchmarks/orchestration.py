"""What orchestration costs: `python -m benchmarks.orchestration [--params FILE] [--plain | --gpu-sharing | --waiting]`.

Runs the demo (or FILE) in a copy of the project by `coronet run`, from nothing, with Prefect's temporary server, and
says:

- the command's time on the clock less its critical path, as a share of that time. The critical path is the chain of
  stages, each behind what it waits for, that takes longest;
- the same less the critical path of what the stages' own commands took: DVC and the start of processes count as costs;
- the sum of all stages against the flow's time, and for how long AE_H and AE_P ran side by side;
- with `--plain`, `dvc repro` from nothing in a second copy, the plain way to run the same;
- how long `coronet run` takes with nothing to do.

`--gpu-sharing` trains both autoencoders at once, in turns with `stages_per_gpu` 1 (on one GPU, one after the other) and
2 (side by side), and says which is faster. Without a GPU both are side by side, and it shows no more than that it runs.

`--waiting` runs `audit` and `explain` at once, and each alone, in turns with idle threads that wait as long as OpenMP
has them by default and as short as the flow has them: how many times as fast is the second?

Results are printed and kept in `benchmarks/orchestration.json`.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.project import copy_project, environment_of, run_python, time_stages
from flows.project.graph import read_graph
from flows.project.processes import SHORT_SPIN, SPIN_COUNT
from tasks.runtime.params.presets import whole_file

AUTOENCODERS = ("train_autoencoder@healthy", "train_autoencoder@pneumonia")
RESULTS = Path(__file__).with_name("orchestration.json")
SPAN = re.compile(r"- (\S+) +Completed +from +([\d.]+) s to +([\d.]+) s")
"""A line of the flow's summary: a stage, and when its task began and ended."""
IDLE_ROUNDS = 3


def critical_path_s(folder: Path, seconds: dict[str, float]) -> tuple[float, list[str]]:
    """Return the length of the longest chain of stages, and the chain."""
    chains: dict[str, tuple[float, list[str]]] = {}
    with contextlib.chdir(folder):
        for stage in read_graph():
            length, chain = max((chains[name] for name in stage.upstream), default=(0.0, []))
            chains[stage.name] = length + seconds[stage.name], [*chain, stage.name]
    return max(chains.values())


def command_seconds(folder: Path) -> dict[str, float]:
    """Return how long each stage's own command took, from what `benchmarks.timed` has written."""
    return {path.name: float(path.read_text()) for path in (folder / ".coronet" / "timed").iterdir()}


def measure_flow(folder: Path) -> dict[str, Any]:
    """Run the flow in a fresh copy."""
    said, wall_s = run_python(folder, "-m", "flows", "run")
    spans = {name: (float(begin), float(end)) for name, begin, end in SPAN.findall(said)}
    tasks = {name: end - begin for name, (begin, end) in spans.items()}
    length_s, chain = critical_path_s(folder, tasks)
    commands_s, _ = critical_path_s(folder, command_seconds(folder))
    overlap_s = min(spans[one][1] for one in AUTOENCODERS) - max(spans[one][0] for one in AUTOENCODERS)
    return {
        "wall_s": wall_s,
        "stages_s": tasks,
        "critical_path": chain,
        "critical_path_s": length_s,
        "cost_share": (wall_s - length_s) / wall_s,
        "critical_path_of_commands_s": commands_s,
        "cost_share_with_dvc": (wall_s - commands_s) / wall_s,
        "sum_of_stages_s": sum(tasks.values()),
        "flow_to_sum": wall_s / sum(tasks.values()),
        "autoencoders_side_by_side_s": overlap_s,
    }


def measure_sharing(folder: Path, rounds: int) -> dict[str, Any]:
    """Train both autoencoders at once, in turns with each number of stages to a GPU."""
    run_python(folder, "-m", "dvc", "repro", "build_split")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for per_gpu, taken in seconds.items():
            set_params(folder, stages_per_gpu=per_gpu)
            taken.append(run_at_once(folder, *(name.replace("@", " ") for name in AUTOENCODERS)))
    ratios = [alone / shared for alone, shared in zip(*seconds.values(), strict=True)]
    return {"device": device(), "seconds": seconds, "times_as_fast_when_shared": statistics.median(ratios)}


def measure_waiting(folder: Path, rounds: int) -> dict[str, Any]:
    """Run stages at once and alone, in turns with each way in which idle threads wait."""
    run_python(folder, "-m", "flows", "run")
    found: dict[str, Any] = {}
    for stages in (("audit", "explain"), ("audit",), ("explain",)):
        ratios = []
        for _ in range(rounds):
            by_default = run_at_once(folder, *stages)
            ratios.append(by_default / run_at_once(folder, *stages, **{SPIN_COUNT: str(SHORT_SPIN)}))
        found[" and ".join(stages)] = {"times_as_fast": statistics.median(ratios), "rounds": ratios}
    return found


def run_at_once(folder: Path, *stages: str, **variables: str) -> float:
    """Return the seconds from the start of all `stages`, each with its item, to the end of the last."""
    began = time.monotonic()
    environment = environment_of(folder) | variables
    running = [
        subprocess.Popen([sys.executable, "-m", "tasks", *stage.split()], cwd=folder, env=environment)
        for stage in stages
    ]
    if sum(process.wait() for process in running):
        sys.exit(f"{' or '.join(stages)} has failed")
    return time.monotonic() - began


def set_params(folder: Path, **values: Any) -> None:
    """Change keys of the copy's params.yaml."""
    yaml, path = YAML(), folder / "params.yaml"
    params = yaml.load(path.read_text(encoding="utf-8"))
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(params | values, file)


def device() -> str:
    """Return what the networks run on."""
    import torch  # late: only here

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, help="instead of the demo's")
    parser.add_argument("--plain", action="store_true", help="time `dvc repro` too")
    parser.add_argument("--gpu-sharing", action="store_true", help="one GPU: side by side or one after the other?")
    parser.add_argument("--waiting", action="store_true", help="stages side by side: how long do idle threads wait?")
    parser.add_argument("--rounds", type=int, default=3, help="of --gpu-sharing and --waiting")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orchestration-") as parent:
        folders = [Path(parent, name) for name in ("flow", "plain")]
        for folder in folders:
            copy_project(folder)
            if chosen.params:
                (folder / "params.yaml").write_bytes(whole_file(chosen.params))
        flow, plain = folders
        if chosen.gpu_sharing:
            found = measure_sharing(flow, chosen.rounds)
        elif chosen.waiting:
            found = measure_waiting(flow, chosen.rounds)
        else:
            time_stages(flow, "benchmarks.timed")
            found = measure_flow(flow)
            found["nothing_to_do_s"] = [run_python(flow, "-m", "flows", "run")[1] for _ in range(IDLE_ROUNDS)]
            if chosen.plain:
                found["plain_s"] = run_python(plain, "-m", "dvc", "repro")[1]
                found["flow_to_plain"] = found["wall_s"] / found["plain_s"]
    found |= {"load": os.getloadavg(), "cores": os.cpu_count()}
    print(json.dumps(found, indent=2))
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
