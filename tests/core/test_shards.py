"""Memory-mapped stacks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coronet_core.common.batches import Subset, as_image
from coronet_core.common.shards import Shards, shard_path, write_shard
from coronet_core.support.errors import DataError


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
    with pytest.raises(DataError, match="no shards"):
        Shards.in_folder(tmp_path)


def test_stored_images_become_network_input() -> None:
    image = as_image(torch.tensor([[[0, 255], [51, 102]]], dtype=torch.uint8))
    torch.testing.assert_close(image, torch.tensor([[[[0.0, 1.0], [0.2, 0.4]]]]))
