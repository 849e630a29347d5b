"""Views, sexes and ages as tables and headers write them."""

from collections import Counter

import pytest

from coronet_core.data import fields


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("058Y", 58), ("58", 58), ("58.0", 58), ("58 years", 58), ("58 y.o.", 58), ("58y", 58), (" 58 \0", 58),
        ("61,5", 61.5), ("018M", 1.5), ("18 months", 1.5), ("000Y", 0), (">89", 90), ("90+", 90), ("102", 102),
    ],
)  # fmt: skip
def test_ages_are_read_as_they_are_written(text: str, years: float) -> None:
    assert fields.age_years(text) == years


def test_weeks_and_days_are_parts_of_a_year() -> None:
    assert fields.age_years("003W") == pytest.approx(21 / 365.25)
    assert fields.age_years("010D") == fields.age_years("10 days") == pytest.approx(10 / 365.25)


@pytest.mark.parametrize(
    "text", [None, "", "nan", "inf", "414", "414Y", "148", "-3", "50s", "45-50", "adult", "58 DOE"]
)
def test_what_is_no_age_in_years_is_unknown(text: str | None) -> None:
    assert fields.age_years(text) is None


@pytest.mark.parametrize(
    ("sex", "texts"),
    [
        ("F", ["F", "f", "Female", "FEMALE ", "W", "weiblich", "woman"]),
        ("M", ["M", "m", "Male", "m\u00e4nnlich", "man\0"]),
        ("O", ["O", "Other", "non-binary", "divers"]),
        (None, [None, "", "U", "?", "nan", "DOE^JANE"]),
    ],
)
def test_sexes_are_of_one_vocabulary(sex: str | None, texts: list[str | None]) -> None:
    assert {fields.sex(text) for text in texts} == {sex}


@pytest.mark.parametrize(
    ("view", "texts"),
    [
        ("PA", ["PA", "pa", " Pa\0", "P.A.", "chest p.a.", "Posteroanterior", "postero-anterior", "PA erect"]),
        ("PA", ["POSTERIOR ANTERIOR", "posterior_anterior", "PA_view"]),
        (
            "AP",
            ["AP", "ap", "antero-posterior", "Anteroposterior", "AP semi erect", "AP portable", "anterior/posterior"],
        ),
        ("AP Supine", ["AP Supine", "ap supine", "AP_SUPINE", "supine antero-posterior"]),
        ("Axial", ["Axial", "axial CT"]),
        ("L", ["L", "LL", "RL", "Lateral", "LAT", "left lateral"]),
        (None, [None, "", "?", "frontal", "PA/LAT", "LLD", "lateral decubitus", "AP oblique"]),
        (None, ["map", "paper", "DOE^JANE"]),
    ],
)
def test_views_are_of_one_vocabulary(view: str | None, texts: list[str | None]) -> None:
    assert {fields.view(text) for text in texts} == {view}


def test_values_that_are_there_and_not_understood_are_counted() -> None:
    unread: Counter[str] = Counter()
    row = {"view": "from above", "sex": "n/a", "age": "414"}
    assert fields.of_row(row, unread) == {"view": None, "sex": None, "age": None}
    assert fields.of_row({"age": "58"}, unread) == {"view": None, "sex": None, "age": 58.0}
    assert unread == {"view": 1, "age": 1}
