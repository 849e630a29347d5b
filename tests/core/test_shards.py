"""Memory-mapped stacks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coronet_core.common.batches import Subset, as_image
from coronet_core.common.shards import Shards, read_array, shard_path, write_array, write_shard
from coronet_core.support.errors import DamagedFileError


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_those_of_the_shards_end_to_end(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    whole = np.arange(sum(lengths) * 4, dtype=np.float32).reshape(-1, 2, 2)
    for shard, rows in enumerate(np.split(whole, np.cumsum(lengths)[:-1])):
        write_shard(folder, shard, rows)
    stack = Shards.in_folder(folder)
    chosen = data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=8))
    assert len(stack) == len(whole)
    assert stack.row_shape == (2, 2)
    np.testing.assert_array_equal(stack.take(np.array(chosen, dtype=np.int64)), whole[chosen])


def test_a_subset_numbers_its_own_rows(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, np.arange(10, dtype=np.uint8).reshape(10, 1, 1))
    subset = Subset(Shards.in_folder(tmp_path), [7, 3, 5], torch.device("cpu"))
    assert len(subset) == 3
    assert subset.take(torch.tensor([2, 0])).flatten().tolist() == [5, 7]


def test_a_shard_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path, 0, np.zeros((1, 1), dtype=np.uint8))
    assert not shard_path(tmp_path, 0).exists()


def test_no_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"shard-00000\.npy: missing\. Run `dvc checkout"):
        Shards.in_folder(tmp_path)


def test_stored_images_become_network_input() -> None:
    image = as_image(torch.tensor([[[0, 255], [51, 102]]], dtype=torch.uint8))
    torch.testing.assert_close(image, torch.tensor([[[[0.0, 1.0], [0.2, 0.4]]]]))


@pytest.fixture
def two_shards(tmp_path: Path) -> Path:
    for shard in range(2):
        write_shard(tmp_path, shard, np.arange(4 * shard, 4 * shard + 4, dtype=np.uint8).reshape(4, 1, 1))
    return tmp_path


def test_every_flipped_bit_of_a_shard_is_noticed_when_its_rows_are_read(two_shards: Path) -> None:
    path = shard_path(two_shards, 1)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedFileError, match=rf"{path}: damaged.*Delete it and run `dvc checkout {path}`"):
            Shards.in_folder(two_shards).take(np.array([5]))


@pytest.mark.parametrize("left", [0, 5, 60, 130])
def test_a_truncated_shard_is_noticed_when_the_stack_is_opened(two_shards: Path, left: int) -> None:
    path = shard_path(two_shards, 0)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DamagedFileError, match=f"{path}: damaged"):
        Shards.in_folder(two_shards)


def test_a_damaged_shard_does_not_matter_to_those_who_read_another(two_shards: Path) -> None:
    path = shard_path(two_shards, 1)
    path.write_bytes(path.read_bytes().replace(b"\4\5\6\7", b"\4\5\6\0"))
    stack = Shards.in_folder(two_shards)
    assert stack.take(np.array([3, 0])).ravel().tolist() == [3, 0]
    with pytest.raises(DamagedFileError, match=str(path)):
        stack.take(np.array([3, 4]))


@pytest.mark.parametrize(("lost", "named"), [(0, "shard-00000.npy: missing"), (1, "shard-00001.npy: missing")])
def test_a_lost_shard_is_noticed(two_shards: Path, lost: int, named: str) -> None:
    shard_path(two_shards, lost).unlink()
    with pytest.raises(DamagedFileError, match=named):
        Shards.in_folder(two_shards).take(np.array([5]))


def test_shards_of_older_versions_are_read(tmp_path: Path) -> None:
    np.save(shard_path(tmp_path, 0), np.arange(3, dtype=np.uint8).reshape(3, 1, 1))
    assert Shards.in_folder(tmp_path).take(np.array([2])).item() == 2


def test_numpy_reads_a_shard_as_any_array(tmp_path: Path) -> None:
    array = np.arange(3, dtype=np.float32)
    write_array(tmp_path / "map.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), array)
    np.testing.assert_array_equal(read_array(tmp_path / "map.npy"), array)
