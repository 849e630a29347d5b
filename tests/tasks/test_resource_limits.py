"""Memory and file sizes at their limits, in processes that have real ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.runtime import resource_limits
from tasks.runtime.resource_limits import group_limit, oom_kills
from tests.conftest import PROJECT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are set with prlimit")
PROGRAM = """
import sys
from pathlib import Path
from coronet_core.common.shards import write_shard
from coronet_core.support.tables import write_frame
from coronet_core.support.whole_files import write_whole
from tasks.runtime.error_handling import exit_code
def work():
    {work}
sys.exit(exit_code(work, "materialize_residuals"))
"""
GIB = 1 << 30


def under(limit: str, work: str, folder: Path) -> str:
    """Return what `work` has said on standard error, of which there must be one line, under a limit of prlimit."""
    finished = subprocess.run(
        ["prlimit", limit, sys.executable, "-c", PROGRAM.format(work=work)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1, finished.stderr
    assert finished.stderr.count("\n") == 1, finished.stderr
    return finished.stderr


@pytest.mark.parametrize(
    "work",
    [
        "bytearray(9 << 30)",
        "import numpy; numpy.zeros(9 << 30, dtype='u1')",
        "import pyarrow; pyarrow.allocate_buffer(9 << 30)",
        "import mmap; mmap.mmap(-1, 9 << 30)",
        "import torch; torch.empty(9 << 30, dtype=torch.uint8)",
    ],
    ids=["Python", "NumPy", "pyarrow", "mmap", "torch"],
)
def test_memory_that_is_refused_is_one_line_with_the_param_to_lower(work: str, tmp_path: Path) -> None:
    said = under(f"--as={6 * GIB}", work, tmp_path)
    assert said.startswith("error: out of memory (")
    assert said.endswith(
        "). Lower residuals.batch_size or residuals.shard_images, or raise the limit of 6144 MiB (`ulimit -v`).\n"
    )


def test_libraries_that_cannot_be_loaded_are_one_line(tmp_path: Path) -> None:
    assert "error: out of memory (lib" in under(f"--as={GIB}", "import torch", tmp_path)


def test_a_stage_is_not_begun_under_a_limit_in_which_libraries_hang(tmp_path: Path) -> None:
    said = under(
        f"--as={GIB // 2}", "from tasks.runtime.command import run_stage; run_stage('build_split', None)", tmp_path
    )
    assert said.startswith("error: the limit of memory is 512 MiB (`ulimit -v`), too low")


@pytest.mark.parametrize(
    ("work", "file"),
    [
        ("import numpy; write_shard(Path(), 0, numpy.zeros((100, 100), 'u1'))", "shard-00000.npy: "),
        ("import torch; write_whole(Path('net.pth'), lambda file: torch.save(torch.zeros(9999), file))", "net.pth: "),
        ("import pandas; write_frame(pandas.DataFrame({'a': range(9999)}), Path('a.parquet'))", "a.parquet: "),
        ("open('a.txt', 'w').write('a' * 9999)", ""),
    ],
    ids=["shard", "torch", "Parquet", "text"],
)
def test_a_file_at_the_limit_of_size_is_named_with_the_limit(work: str, file: str, tmp_path: Path) -> None:
    remedy = "Raise it (`ulimit -f`), or lower residuals.shard_images."
    said = under("--fsize=4096", work, tmp_path)
    assert said == f"error: {file}larger than the limit of 4 KiB for files. {remedy}\n"
    assert not [path for path in tmp_path.iterdir() if path.name != "a.txt"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's files, with a counter that no control group has."""
    monkeypatch.setattr(resource_limits, "PROC", tmp_path / "proc")
    monkeypatch.setattr(resource_limits, "CGROUPS", tmp_path / "cgroup")
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "vmstat").write_text("nr_free_pages 12\noom_kill 7\n")
    return tmp_path


@pytest.mark.parametrize(
    ("group", "counter"),
    [
        ("0::/user.slice/session", "cgroup/user.slice/session/memory.events"),
        ("0::/only/on/the/host", "cgroup/memory.events"),
        ("9:name=systemd:/\n4:cpu,memory:/box\n0::/", "cgroup/memory/box/memory.oom_control"),
        ("4:memory:/only/on/the/host", "cgroup/memory/memory.oom_control"),
    ],
    ids=["version 2", "version 2 in a container", "version 1", "version 1 in a container"],
)
def test_kills_are_counted_in_the_own_control_group(machine: Path, group: str, counter: str) -> None:
    (machine / "proc" / "self" / "cgroup").write_text(group + "\n")
    assert oom_kills() == 7
    (machine / counter).parent.mkdir(parents=True, exist_ok=True)
    (machine / counter).write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert oom_kills() == 2


@pytest.mark.parametrize(
    ("group", "file", "no_limit"),
    [
        ("0::/box", "cgroup/box/memory.max", "max"),
        ("4:memory:/box", "cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712"),
    ],
    ids=["version 2", "version 1"],
)
def test_the_memory_of_a_container_is_known(machine: Path, group: str, file: str, no_limit: str) -> None:
    (machine / "proc" / "self" / "cgroup").write_text(group + "\n")
    assert group_limit() is None
    (machine / file).parent.mkdir(parents=True)
    (machine / file).write_text(f"{no_limit}\n")
    assert group_limit() is None
    (machine / file).write_text("2147483648\n")
    assert group_limit() == 2**31


def test_without_any_counter_nothing_is_known(machine: Path) -> None:
    (machine / "proc" / "vmstat").unlink()
    assert oom_kills() is None
