"""Names from outside that become paths stay in their folder."""

import pytest

from coronet_core.data.file_names import file_name, relative_path
from coronet_core.support.errors import DataError

BAD = ["", ".", "..", "/etc/passwd", "../x", "a/../../x", "a\x00b", "a\nb", "\x1b[2J"]


@pytest.mark.parametrize("text", BAD)
def test_a_path_that_leaves_its_folder_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(DataError, match=r"^row 3 .* is refused: [^\n]*$"):
        relative_path(text, "row 3")


@pytest.mark.parametrize("text", [*BAD, "a/b", "a\\b", "-rf"])
def test_a_name_of_several_parts_or_an_option_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is refused"):
        file_name(text, "row 3")


@pytest.mark.parametrize("text", ["a.png", "..a.png", "Scan 1 (left).png", "Röntgen.dcm"])
def test_names_of_files_are_taken_as_they_are(text: str) -> None:
    assert file_name(text, "row 3") == text
    assert relative_path(f"train/{text}", "row 3") == f"train/{text}"
