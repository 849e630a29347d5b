"""Text from outside, made safe for where it ends."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from coronet_core.support.errors import DataError
from tasks.runtime.files import write_rows
from tasks.runtime.safe_text.identifiers import DVC_MD5, GIT_COMMIT, RUN_ID, SHA256, STAGE_NAME, matching
from tasks.runtime.safe_text.markdown import code_span, plain
from tasks.runtime.safe_text.spreadsheet import spreadsheet_cell
from tasks.runtime.safe_text.terminal import printable
from tests.conftest import PROJECT

MARKDOWN = MarkdownIt("commonmark").enable("table").enable("strikethrough")
SHOWN_AS_IT_IS = {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "softbreak"}
MARKUP = [
    "![x](https://evil.example/pixel.png)",
    "[click](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "<https://evil.example>",
    "[x]: javascript:alert(1)",
    "**bold** _it_ ~~gone~~ `code` \\*",
    "# heading",
    "- item",
    "1. item",
    "a\n\n---\n\n# b",
    "    code",
    "&#91;x](javascript:alert(1))",
]


def kinds_in(markdown: str) -> set[str]:
    """What a parser of Markdown finds."""
    tokens = MARKDOWN.parse(markdown)
    return {one.type for token in tokens for one in (token, *(token.children or ()))}


@pytest.mark.parametrize(
    ("pattern", "good"),
    [
        (SHA256, "0f" * 32),
        (DVC_MD5, "0f" * 16 + ".dir"),
        (GIT_COMMIT, "0f" * 20),
        (RUN_ID, "0f" * 16),
        (STAGE_NAME, "train_autoencoder@healthy"),
    ],
)
@pytest.mark.parametrize("bad", ["", "/etc", "../x", "--upload-pack=x", "x'; --", "{}\n", "\x1b{}", "A" + "{}"])
def test_an_identifier_has_its_form_or_is_refused_in_one_line(pattern: str, good: str, bad: str) -> None:
    assert matching(pattern, good, "tag") == good
    if (pattern, bad) == (STAGE_NAME, "A{}"):
        return  # a name that begins with a letter
    with pytest.raises(DataError, match=r"^tag .* is refused: it does not have the form [^\n]*$"):
        matching(pattern, bad.format(good), "tag")


@pytest.mark.parametrize("text", MARKUP)
def test_plain_text_in_markdown_is_no_markup(text: str) -> None:
    assert kinds_in(plain(text)) <= SHOWN_AS_IT_IS
    assert kinds_in(f"- {plain(text)}") <= SHOWN_AS_IT_IS | {
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    }  # fmt: skip


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_text_in_markdown_is_no_markup(text: str) -> None:
    assert kinds_in(plain(text)) <= SHOWN_AS_IT_IS
    assert len(plain(text).splitlines()) <= 1


def test_plain_text_in_a_table_stays_in_its_cell() -> None:
    cell = plain("x | y \\| z")
    page = MARKDOWN.render(f"| a | b |\n|---|---|\n| {cell} | end |")
    assert re.findall("<td>(.*?)</td>", page) == ["x | y \\| z", "end"]


def test_an_address_in_markdown_is_no_link_by_itself() -> None:
    assert plain("see https://evil.example or www.evil.example") == ("see https\\://evil.example or www\\.evil.example")


@pytest.mark.parametrize("text", [*MARKUP, "`", "``x`", "a ` b"])
def test_code_in_markdown_is_one_span(text: str) -> None:
    assert kinds_in(code_span(text)) == {"paragraph_open", "paragraph_close", "inline", "code_inline"}


@pytest.mark.parametrize("bad", ["\x1b[2J", "\r", "\n", "\x07", "\u202e", "\u2066", "\u200f", "\x9b31m", "\udcff"])
def test_what_a_terminal_would_obey_is_escaped(bad: str) -> None:
    assert printable(f"a{bad}b").isprintable()
    assert printable("Ärzte, 胸部, صدر") == "Ärzte, 胸部, صدر"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_cell_is_no_formula_of_a_spreadsheet(begin: str, tmp_path: Path) -> None:
    assert spreadsheet_cell(f"{begin}cmd|' /C calc'!A0") == f"'{begin}cmd|' /C calc'!A0"
    assert spreadsheet_cell("scan-1") == "scan-1"
    write_rows(tmp_path / "names.csv", [("id", None, f"{begin}1")])
    assert (tmp_path / "names.csv").read_bytes().decode().replace('"', "") == f"id,,'{begin}1\n"


def test_every_guard_on_record_names_tests_that_exist() -> None:
    record = (PROJECT / "docs" / "decisions" / "0020-text-from-outside.md").read_text(encoding="utf-8")
    rows = [line.split("|")[4] for line in record.splitlines() if line.count("|") == 5 and "---" not in line]
    named = [cell for cell in rows if cell.strip() != "test"]
    assert len(named) > 30
    for cell in named:
        file = ""
        for place in re.findall("`([^`]*::[^`]*)`", cell):
            file = place.partition("::")[0] or file
            assert f"def {place.partition('::')[2]}(" in (PROJECT / file).read_text(encoding="utf-8"), place
        assert file, cell
