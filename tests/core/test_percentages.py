"""Settings as percentages."""

import pytest

from coronet_core.support.percentages import as_percentage


@pytest.mark.parametrize(
    ("setting", "shown"),
    [(0.9, "90%"), (0.995, "99.5%"), (0.975, "97.5%"), (0.005, "0.5%"), (0.29, "29%"), (1.0, "100%")],
)
def test_a_setting_is_shown_as_set(setting: float, shown: str) -> None:
    assert as_percentage(setting) == shown
