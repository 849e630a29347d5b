"""Which number format `auto` chooses: what the processor has and torch and oneDNN may use of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from coronet_core.common.precision import choose_precision

CPU = torch.device("cpu")
ASK = "import torch; from coronet_core.common.precision import has_bfloat16; print(has_bfloat16(torch.device('cpu')))"
LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")


def has_bfloat16_with(**limits: str) -> bool:
    """Ask in a process of its own: torch reads these variables once."""
    environment = {name: value for name, value in os.environ.items() if name not in LIMITS} | limits
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True, env=environment)
    return asked.stdout.strip() == "True"


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="the kernel does not list what the processor can do")
def test_bfloat16_is_found_where_the_kernel_lists_it() -> None:
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    assert has_bfloat16_with() == bool(flags & {"avx512_bf16", "amx_bf16"})


@pytest.mark.parametrize(
    "limits",
    [
        {"ATEN_CPU_CAPABILITY": "avx2"},
        pytest.param({"ATEN_CPU_CAPABILITY": "default"}, marks=pytest.mark.slow),
        {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        pytest.param({"ONEDNN_MAX_CPU_ISA": "avx512_core"}, marks=pytest.mark.slow),
        pytest.param({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}, marks=pytest.mark.slow),
    ],
    ids=lambda limits: "=".join(*limits.items()),
)
def test_a_newer_processor_can_behave_like_an_older_one(limits: dict[str, str]) -> None:
    assert not has_bfloat16_with(**limits)


@pytest.mark.slow
def test_a_limit_that_leaves_bfloat16_changes_nothing() -> None:
    assert has_bfloat16_with(ONEDNN_MAX_CPU_ISA="AVX512_CORE_BF16") == has_bfloat16_with()


@pytest.mark.parametrize(("found", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_what_the_hardware_computes_with(monkeypatch: pytest.MonkeyPatch, *, found: bool, chosen: str) -> None:
    monkeypatch.setattr("coronet_core.common.precision.has_bfloat16", lambda _: found)
    assert choose_precision("auto", CPU) == chosen
    assert choose_precision("bf16", CPU) == "bf16"
    assert choose_precision("fp32", CPU) == "fp32"
