"""The command's run: whatever a measurement does, the others get their share of the time, and its rows are kept."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import chosen_of, run
from benchmarks.gpu.goals import goal_lines
from benchmarks.gpu.plan import PLAN, Measurement
from benchmarks.gpu.results import Results
from benchmarks.gpu.rows import Row
from benchmarks.gpu.worker import Setting
from tests.conftest import PROJECT

SETTING = Setting(device="cpu", size="hundredth", reference=None)
PATIENT = 10000.0
"""Seconds of a run in which no share ends."""


def misbehaving(name: str, weight: float = 1.0) -> Measurement:
    return Measurement(name, f"tests.benchmarks.misbehaving:{name}", weight)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path, {"device": "cpu"}, counts=True)


def lines_of(results: Results) -> list[tuple[str, str]]:
    return [(row.name, row.reason) for row in results.rows]


@pytest.mark.slow
def test_errors_and_crashes_are_rows_and_the_next_measurement_goes_on(results: Results) -> None:
    names = ("fail", "fail_as_a_whole", "crash", "break_cuda", "find_one")
    run([misbehaving(name) for name in names], SETTING, PATIENT, results)
    assert lines_of(results) == [
        ("fail: row", "ZeroDivisionError: division by zero"),
        ("fail: found", ""),
        ("fail_as_a_whole", "ValueError: not even a row"),
        ("crash: found", ""),
        ("crash: all that follows", "its process ended, exit code -9"),
        ("break_cuda: row", "RuntimeError: CUDA error: an illegal memory access was encountered"),
        ("break_cuda", "RuntimeError: CUDA error: an illegal memory access was encountered"),
        ("break_cuda: all that follows", "its process ended, exit code 0"),
        ("find_one: found", ""),
    ]


@pytest.mark.slow
def test_what_hangs_is_cut_off_and_leaves_the_others_their_time(results: Results) -> None:
    """Of 400 s the first has a hundredth, 4 s, which begin when its process is ready."""
    run([misbehaving("find_one_and_hang"), misbehaving("find_one", 99)], SETTING, 400.0, results)
    (kept, cut, after) = lines_of(results)
    assert (kept, after) == (("find_one_and_hang: found", ""), ("find_one: found", ""))
    assert cut[1].startswith("stopped at the end of its share of the time")


def test_nothing_begins_when_the_time_is_over(results: Results) -> None:
    run([misbehaving("find_one"), misbehaving("fail")], SETTING, 0.0, results)
    assert lines_of(results) == [
        ("find_one: all that follows", "no time left"),
        ("fail: all that follows", "no time left"),
    ]


def test_rows_are_on_disk_as_soon_as_they_are_found(results: Results, tmp_path: Path) -> None:
    results.add(Row("AE step", "ours, batch 32", {"times_plain": 12.0}))
    content = json.loads((tmp_path / "on_gpu.json").read_text())
    assert content["end"] == "under way"
    assert content["rows"] == [{"measurement": "AE step", "name": "ours, batch 32", "times_plain": 12.0}]
    assert "ours, batch 32" in (tmp_path / "on_gpu.txt").read_text()


@pytest.mark.slow
def test_a_stopped_run_keeps_its_rows_and_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--minutes", "60", "--out", str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "card           device" not in process.stdout.readline():
            time.sleep(0)
        process.terminate()
        printed = process.communicate()[0]  # ends when nobody holds the pipe: neither does the worker
    assert process.returncode != 0
    assert "stopped before its end" in printed
    content = json.loads((tmp_path / "on_gpu.json").read_text())
    assert content["rows"][0]["name"] == "device"
    assert content["end"].startswith("stopped before its end")


ROWS = [
    Row("checks", "golden latent, fp32", {"right": True}),
    Row("checks", "golden latent, bf16", {"right": False}),
    Row("AE step", "plain, batch 32", {"times_plain": 1.0, "copy_share": 0.9}),
    Row("AE step", "ours, batch 32", {"times_plain": 4.0, "copy_share": 0.2}),
    Row("AE compiled", "compiled, batch 32", {"times_plain": 11.0, "copy_share": 0.4}),
    Row("protocol", "the whole protocol, extrapolated", {"seconds": 300.0}),
    Row("explainer", "all images at once", reason="OutOfMemoryError"),
]


def test_each_goal_is_reached_missed_or_not_measured() -> None:
    lines = goal_lines(ROWS, counts=True)
    assert [line.split()[0] for line in lines] == ["missed", "reached", "missed", "reached", "not"]
    assert "1 (golden latent, bf16)" in lines[0]
    assert "11 (compiled, batch 32)" in lines[1]


def test_a_trial_judges_no_goal() -> None:
    assert all(line.startswith("not measured") for line in goal_lines(ROWS, counts=False))


def test_measurements_are_chosen_by_a_part_of_their_names_with_the_cards_rates() -> None:
    assert [one.name for one in chosen_of(["both"])] == ["card", "both AEs"]
    assert chosen_of(None) == list(PLAN)


PROGRAM = """
import sys

ALLOWED = {"torch", "torchvision", "triton", "numpy", "safetensors", "PIL", "coronet_core", "tasks", "benchmarks"}

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        caller = sys._getframe(1)
        while caller and "importlib" in caller.f_code.co_filename:
            caller = caller.f_back
        top = name.split(".")[0]
        ours = any(part in caller.f_code.co_filename for part in ("/coronet_core/", "/tasks/", "/benchmarks/"))
        if ours and top not in ALLOWED and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nowhere())
from benchmarks.gpu.plan import PLAN
for measurement in PLAN:
    measurement.load()
import benchmarks.gpu.__main__
print(*sorted({"pandas", "pydantic", "scipy", "mlflow", "prefect", "dvc"} & set(sys.modules)))
"""


def test_the_command_needs_torch_torchvision_numpy_and_safetensors_alone() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == []
