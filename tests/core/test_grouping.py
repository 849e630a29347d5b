"""Groups of images by what is known of them."""

import pandas as pd

from coronet_core.common.manifest import groupings


def test_ages_fall_into_the_group_that_begins_at_them_and_what_is_missing_is_unknown() -> None:
    ages = [0.0, 17.9, 18.0, 40.0, 79.0, 80.0, None]
    images = pd.DataFrame({"age": ages, "source": "rsna", "view": [None] * 7, "sex": ["F", None] * 3 + ["M"]})
    found = groupings(images)
    assert list(found) == ["source", "view", "sex", "age_group"]
    assert found["age_group"].tolist() == ["0-17", "0-17", "18-39", "40-59", "60-79", "80 and over", "unknown"]
    assert set(found["view"]) == {"unknown"}
    assert found["sex"].tolist() == ["F", "unknown"] * 3 + ["M"]
