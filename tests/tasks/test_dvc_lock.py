"""What `dvc.lock` says of a run as a whole."""

from pathlib import Path

import pytest

from coronet_core.support.errors import DamagedFileError
from tasks.package.dvc_lock import NEEDED, Lock

LOCK = """
schema: '2.0'
stages:
{needed}
  report:
    cmd: python -m tasks report
    deps:
    - {{path: models/cin.safetensors, hash: md5, md5: aa}}
    - {{path: tasks/report/stage.py, hash: md5, md5: bb}}
    params:
      params.yaml:
        seed: 1
        cin: {{epochs: 2, input: image}}
        evaluate: {{batch_size: 4, confidence: 0.9}}
    outs:
    - {{path: reports/report.html, hash: md5, md5: cc}}
  package:
    cmd: python -m tasks package
    deps:
    - {{path: models/cin.safetensors, hash: md5, md5: "00"}}
    params:
      params.yaml:
        cin.input: residual_tensor
        evaluate.batch_size: 64
    outs:
    - {{path: models/coronet, hash: md5, md5: dd.dir}}
"""


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    needed = "\n".join(f"  {stage}:\n    cmd: python -m tasks {stage}" for stage in NEEDED)
    (tmp_path / "dvc.lock").write_text(LOCK.format(needed=needed))
    return Lock(tmp_path)


def test_the_params_of_all_stages_are_one_file_of_params(lock: Lock) -> None:
    expected = {"seed": 1, "cin": {"epochs": 2, "input": "image"}, "evaluate": {"batch_size": 4, "confidence": 0.9}}
    assert lock.all_params() == expected


def test_digests_are_those_of_all_that_was_read_or_written_but_by_the_package_of_the_run_before(lock: Lock) -> None:
    assert lock.md5s() == {"models/cin.safetensors": "aa", "tasks/report/stage.py": "bb", "reports/report.html": "cc"}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"stages: [", b"stages: 3", b"- 1", b"schema: '2.0'"], ids=repr)
def test_a_damaged_lock_is_named_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dvc.lock").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"dvc\.lock: damaged: .*git checkout dvc\.lock.*coronet run"):
        Lock(tmp_path)
