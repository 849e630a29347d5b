"""The soak, for some seconds."""

from argparse import Namespace

import pytest

from benchmarks.soak import soak, table
from benchmarks.soak_requests import KINDS


@pytest.mark.slow
def test_a_short_soak_meets_nothing_unexpected() -> None:
    results = soak(Namespace(minutes=0.25, clients=8, side=64, image=128, seed=1))
    assert {row["kind"]: row["unexpected"] for row in results["rows"]} == {kind.name: {} for kind in KINDS}
    assert sum(row["requests"] for row in results["rows"]) > 100
    assert results["memory"][-1]["mib"] > 100
    assert not any('status="500"' in name for name in results["counters"])
    assert "decompression bomb" in table(results)
