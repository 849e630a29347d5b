"""Tables as people save them: delimiters, encodings, blank rows."""

import codecs
import gzip
from pathlib import Path

import pytest

from coronet_core.data.sources.label_tables import read_table
from coronet_core.support.errors import DataError

ROWS = [
    {"file": "healthy/a.png", "label": "healthy", "name": "M\u00fcller"},
    {"file": "b.png", "label": "covid19", "name": ""},
]


def saved(path: Path, text: str, encoding: str = "utf-8", mark: bytes = b"") -> Path:
    path.write_bytes(mark + text.encode(encoding))
    return path


def text_of(delimiter: str = ",", end: str = "\n") -> str:
    lines = [list(ROWS[0]), *(list(row.values()) for row in ROWS)]
    return end.join(delimiter.join(line) for line in lines) + end


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_end_of_line_is_read(tmp_path: Path, delimiter: str, end: str) -> None:
    path = saved(tmp_path / "labels.csv", text_of(delimiter, end))
    assert read_table(path, ["file"], remedy="") == ROWS


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("utf-16", b""), ("utf-16-le", b""), ("utf-16-be", b""),
        ("utf-16-be", codecs.BOM_UTF16_BE), ("cp1252", b""),
    ],
)  # fmt: skip
def test_every_encoding_is_read(tmp_path: Path, encoding: str, mark: bytes) -> None:
    path = saved(tmp_path / "labels.csv", text_of(), encoding, mark)
    assert read_table(path, ["file"], remedy="") == ROWS


def test_what_excel_adds_is_passed_over(tmp_path: Path) -> None:
    text = "sep=;\r\nFile ;Label;Name;;\r\n" + text_of(";", "\r\n").split("\r\n", 1)[1].replace("\r\n", ";;\r\n")
    path = saved(tmp_path / "labels.csv", text + ";;;;\r\n\r\n ; ;\r\n", mark=codecs.BOM_UTF8)
    assert read_table(path, ["file"], remedy="") == ROWS


def test_the_columns_that_are_looked_for_decide_the_delimiter(tmp_path: Path) -> None:
    path = saved(tmp_path / "labels.csv", "file;age, in years, or so\na.png;58\n")
    assert read_table(path, ["file"], remedy="") == [{"file": "a.png", "age,_in_years,_or_so": "58"}]


def test_values_in_quotation_marks_may_hold_anything(tmp_path: Path) -> None:
    path = saved(tmp_path / "labels.csv", 'file,notes\n"a,b.png","two\nlines, and a ""word"""\nc.png\n')
    assert read_table(path, ["file"], remedy="") == [
        {"file": "a,b.png", "notes": 'two\nlines, and a "word"'},
        {"file": "c.png", "notes": ""},
    ]


def test_a_compressed_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv.gz"
    path.write_bytes(gzip.compress(text_of().encode("utf-16")))
    assert read_table(path, ["file"], remedy="") == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty table. Remedy"),
        (b"\n \n", "an empty table. Remedy"),
        (b"PK\x03\x04rest of a workbook", "a workbook or an archive, not a text file. Save it as CSV in UTF-8."),
        (b"file,label\na\x81.png,x\n", "neither UTF-8, UTF-16 nor Windows-1252. Save it as CSV in UTF-8."),
        (codecs.BOM_UTF16_LE + b"f", "neither UTF-8, UTF-16 nor Windows-1252. Save it as CSV in UTF-8."),
        (b"path;label\na;b\n", r"no column file \(found: path, label\). Remedy"),
        (b"file,label,label\na,b,c\n", "has the column label more than once. Rename or delete one"),
        (b"file,label\n\na.png,healthy\nb.png,x,y\n", "line 4: 3 values for 2 columns. Put a value"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path, ["file"], remedy="Remedy")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
