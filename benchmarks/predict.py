"""Prediction of thousands of files: `python -m benchmarks.predict FOLDER`, with `labels.csv` and its images in FOLDER.

In a copy of the project's tracked files a small model is trained on some of the images. Then `coronet predict` answers
its test images (the figures must be those of `evaluate`), some and all of the files (memory, speed against a plain
loop), and all of them again, killed half-way and started again (the same rows, and what is finished is kept).
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from coronet_core.common.classes import CLASSES
from coronet_core.metrics.confusion import confusion_matrix

PROJECT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_suffix(".json")
RAW = "data/raw/xray"
TRAINED_ON_PER_CLASS = 200
SOME = 1000
SIDE_PX = 64
POLL_S = 0.05
NUMBERS = [f"{kind}_{label}" for kind in ("logit", "probability", "calibrated") for label in CLASSES] + ["ood_score"]
PARAMS: dict[str, dict[str, Any]] = {
    "data": {
        "root": "data/raw",
        "sources": [{"kind": "image_folder", "folder": "xray", "labels_csv": "labels.csv", "patient_id_pattern": None}],
        "image_size_px": SIDE_PX,
        "max_rejected_fraction": 0.1,
    },
    "autoencoder": {"epochs": 2},
    "cin": {"epochs": 4},
}


@dataclass(frozen=True)
class Measured:
    """A command that has ended."""

    seconds: float
    peak_mib: float
    """Most memory of its own process; Prefect's server is another."""
    exit_code: int


def make_project(folder: Path, source: Path) -> pd.DataFrame:
    """Copy the project and some images of each class, and set its params; returns the labels of all images."""
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in tracked.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((PROJECT / name).read_bytes())
    labels = pd.read_csv(source / "labels.csv")
    chosen = labels.groupby("label").sample(TRAINED_ON_PER_CLASS, random_state=0)
    for file in chosen["file"]:
        (folder / RAW / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, folder / RAW / file)
    chosen.to_csv(folder / RAW / "labels.csv", index=False)
    yaml = YAML()
    params = yaml.load((folder / "params.yaml").read_text(encoding="utf-8"))
    for section, values in PARAMS.items():
        params[section] |= values
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    return labels


def run(folder: Path, *arguments: str, kill_at_parts: tuple[Path, int] | None = None) -> Measured:
    """Run `python -m ...` in the project, until so many parts are in a folder if that is given; then kill -9."""
    begin, peak_mib = time.perf_counter(), 0.0
    environment = os.environ | {"PYTHONPATH": str(folder)}
    with subprocess.Popen([sys.executable, "-m", *arguments], cwd=folder, env=environment) as process:
        while process.poll() is None:
            peak_mib = max(peak_mib, _peak_mib(process.pid))
            if kill_at_parts is not None and len(list(kill_at_parts[0].glob("part-*"))) >= kill_at_parts[1]:
                process.kill()
            time.sleep(POLL_S)
    return Measured(time.perf_counter() - begin, peak_mib, process.returncode)


def _peak_mib(pid: int) -> float:
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def predict(folder: Path, out: str, paths: Sequence[str], **options: Any) -> Measured:
    """Run `coronet predict`."""
    return run(folder, "flows", "predict", *paths, "--out", out, **options)


def against_evaluate(folder: Path) -> dict[str, Any]:
    """Predict the files of the test images; returns how their rows and figures differ from those of `evaluate`."""
    expected = pd.read_parquet(folder / "reports/predictions.parquet")
    names = pd.read_csv(folder / ".coronet/image_names.csv").set_index("image_id")["name"]
    paths = [f"data/raw/{names[image_id]}" for image_id in expected["image_id"]]
    predict(folder, "test.parquet", paths)
    found = pd.read_parquet(folder / "test.parquet").set_index("path").loc[paths].reset_index()
    index = {label: i for i, label in enumerate(CLASSES)}
    confusion = confusion_matrix(*(column.map(index).to_numpy() for column in (expected["label"], found["predicted"])))
    metrics = json.loads((folder / "reports/metrics.json").read_text(encoding="utf-8"))
    difference = np.abs(found[NUMBERS].to_numpy(float) - expected[NUMBERS].to_numpy(float))
    return {
        "test_images": len(expected),
        "accuracy": confusion.trace() / confusion.sum(),
        "accuracy_of_evaluate": metrics["accuracy"],
        "confusion": confusion.tolist(),
        "confusion_of_evaluate": metrics["confusion_matrix"],
        "largest_difference": float(difference.max()),
        "other_abstentions": int((found["abstained"] != expected["abstained"]).sum()),
    }


def killed_and_resumed(folder: Path, source: Path, whole: pd.DataFrame) -> dict[str, Any]:
    """Predict all files, kill it half-way, and go on; returns what was kept and whether the rows are the same."""
    out = folder / "killed.parquet"
    n_parts = len(list((folder / "all.parquet").glob("part-*")))
    predict(folder, out.name, [str(source)], kill_at_parts=(out, n_parts // 2))
    kept = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    resumed = predict(folder, out.name, [str(source)])
    return {
        "parts": n_parts,
        "kept_by_the_kill": len(kept),
        "of_them_done_again": sum(path.stat().st_mtime_ns != changed for path, changed in kept.items()),
        "seconds_of_the_rest": resumed.seconds,
        "rows_are_the_same": pd.read_parquet(out).equals(whole),
    }


PLAIN_LOOP = f"""
import sys, time
from pathlib import Path
import numpy as np, torch
from PIL import Image
from safetensors.torch import load_file
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_tensor import TFEN
from coronet_core.classifier.architectures import build_cin
files = sorted(Path(sys.argv[1]).rglob("*.jpg"))
tfen, cin = TFEN(FPAE(), FPAE()), build_cin("residual_tensor")
for module, name in ((tfen.healthy, "autoencoder_healthy"), (tfen.pneumonia, "autoencoder_pneumonia"), (cin, "cin")):
    module.load_state_dict(load_file(f"models/{{name}}.safetensors"))
tfen.eval(), cin.eval()
begin = time.perf_counter()
with torch.inference_mode():
    for start in range(0, len(files), 64):
        images = [Image.open(f).convert("L").resize(({SIDE_PX}, {SIDE_PX})) for f in files[start : start + 64]]
        x = torch.from_numpy(np.stack(images)).unsqueeze(1).float().div_(255)
        cin(tfen(x)).softmax(1)
print(time.perf_counter() - begin)
"""


def plain_seconds(folder: Path, source: Path) -> float:
    """Return what a loop takes that opens, resizes and predicts, without any check and without keeping anything."""
    command = [sys.executable, "-c", PLAIN_LOOP, str(source)]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return float(
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
    )


def main() -> None:
    """Train, predict, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    source = parser.parse_args().source.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = make_project(folder, source)
        for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "repro", "-q", "evaluate"]):
            subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, check=True)
        results: dict[str, Any] = {"against_evaluate": against_evaluate(folder)}
        some = [str(source / file) for file in labels["file"].sample(SOME, random_state=0)]
        for kind, paths, n_files in (("some", some, SOME), ("all", [str(source)], len(labels))):
            measured = predict(folder, f"{kind}.parquet", paths)
            results[kind] = {"files": n_files, "seconds": measured.seconds, "peak_mib": measured.peak_mib}
        results["plain_loop_seconds"] = plain_seconds(folder, source)
        results["killed"] = killed_and_resumed(folder, source, pd.read_parquet(folder / "all.parquet"))
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
