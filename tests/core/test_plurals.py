"""Numbers with their nouns."""

import pytest

from coronet_core.support.plurals import by_reason, counted


@pytest.mark.parametrize(("n", "said"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (1000, "1000 images")])
def test_one_of_a_kind_is_no_plural(n: int, said: str) -> None:
    assert counted(n, "image") == said


def test_a_verb_agrees_with_its_number() -> None:
    assert [counted(n, "patient is", "patients are") for n in (1, 7)] == ["1 patient is", "7 patients are"]


def test_a_reason_comes_before_its_count() -> None:
    assert (
        by_reason({"not an image": 2, "hidden or companion file": 1})
        == "not an image (2), hidden or companion file (1)"
    )
    assert by_reason({}) == ""
