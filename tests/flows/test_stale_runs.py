"""The note of a flow run that was killed."""

from pathlib import Path

import pytest

from flows.monitoring.stale_runs import alone_as_run
from tests.tasks.damage import DAMAGES


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_note_is_set_aside_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    note = tmp_path / "work.run"
    note.write_bytes(DAMAGES[damage](b"0191e2b8-6f6c-7000-8000-000000000000"))
    for told in (1, 0):
        with alone_as_run(tmp_path / "work.lock", "the work"):
            pass
        assert capsys.readouterr().err.count(f"warning: {note} is damaged") == told
