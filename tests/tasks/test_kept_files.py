"""Files of unfinished work: whole, or set aside with a line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coronet_core.support.errors import DamagedFileError
from coronet_core.support.whole_files import read_sealed, write_sealed
from tasks.runtime.resume import keep_arrays, read_kept, read_kept_arrays
from tests.tasks.damage import Damage, every_damage, spoil

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(content=st.binary())
@same_folder
def test_what_was_sealed_comes_back(tmp_path: Path, content: bytes) -> None:
    write_sealed(tmp_path / "kept", content)
    assert read_sealed(tmp_path / "kept") == content


@given(content=st.binary(), data=st.data())
@same_folder
def test_a_file_of_any_other_length_is_damaged(tmp_path: Path, content: bytes, data: st.DataObject) -> None:
    path = tmp_path / "kept"
    write_sealed(path, content)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DamagedFileError, match="kept: damaged"):
        read_sealed(path)


def test_nothing_sealed_without_its_last_byte_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write_sealed(path, b"")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFileError, match="kept: damaged"):
        read_sealed(path)


@given(content=st.binary(), data=st.data())
@same_folder
def test_a_file_with_any_other_bit_is_damaged(tmp_path: Path, content: bytes, data: st.DataObject) -> None:
    path = tmp_path / "kept"
    write_sealed(path, content)
    changed = bytearray(path.read_bytes())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(changed)
    with pytest.raises(DamagedFileError, match="kept: damaged"):
        read_sealed(path)


@every_damage
def test_damaged_arrays_are_set_aside_with_one_line(
    tmp_path: Path, damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "maps-00000.npz"
    keep_arrays(path, {"maps": np.arange(3.0)})
    spoil(path, damage)
    assert read_kept_arrays(path) is None
    aside = tmp_path / ".maps-00000.npz.damaged"
    assert capsys.readouterr().err == f"warning: {path} is damaged: moved to {aside}, continuing without it\n"
    assert list(tmp_path.iterdir()) == [aside]


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {"maps": np.random.default_rng(0).random((2, 1, 3), dtype=np.float32), "seconds": np.array([0.5])}
    keep_arrays(tmp_path / "maps.npz", arrays)
    found = read_kept_arrays(tmp_path / "maps.npz")
    assert found is not None
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_kept(tmp_path / "gone") is None
