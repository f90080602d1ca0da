"""Tables as Markdown and numbers as CSV."""

import csv
import math

import pytest

from project.report.tables import (
    Table,
    TableCell,
    markdown,
    p_value,
    signed,
    write_markdown,
    write_numbers,
)


def test_numbers_with_signs_and_p_values_as_text():
    assert [signed(x, 2) for x in (-1.234, 0.0, 5.0)] == ["−1.23", "0.00", "5.00"]
    assert [p_value(p) for p in (0.00099, 0.001, 0.0456, 1.0)] == [
        "p < 0.001",
        "p 0.001",
        "p 0.046",
        "p 1.000",
    ]


def test_markdown_has_a_heading_a_note_and_as_many_cells_in_each_line():
    made = markdown(Table("T", "note", "attack", ["a|b"], [("x<y", [TableCell("1", ("2", "3"))])]))
    lines = made.splitlines()
    assert lines[:3] == ["### T", "", "note"]
    assert lines[4:] == ["| attack | a\\|b |", "|---|---:|", "| x&lt;y | 1 (2; 3) |"]


@pytest.mark.parametrize(
    ("winner", "mark"), [("neither", "1"), ("reference", "1 ✓"), ("other", "1 ✗")]
)
def test_a_cell_is_marked_for_whom_it_speaks(winner, mark):
    made = markdown(Table("T", "", "attack", ["a"], [("x", [TableCell("1", (), winner)])]))
    assert made.splitlines()[-1] == f"| x | {mark} |"


def test_markdown_stands_under_the_command_that_made_the_rows(tmp_path):
    table = Table("T", "", "attack", ["a"], [("x", [TableCell("1")])])
    write_markdown(tmp_path / "t.md", [table, table], "python attack.py")
    text = (tmp_path / "t.md").read_text(encoding="utf-8")
    assert text == "```sh\npython attack.py\n```\n\n" + "\n".join([markdown(table)] * 2)
    write_markdown(tmp_path / "t.md", [table], None)
    assert (tmp_path / "t.md").read_text(encoding="utf-8") == markdown(table)


def test_a_csv_keeps_every_digit_and_leaves_empty_what_is_missing(tmp_path):
    path = tmp_path / "t.csv"
    write_numbers(path, ("name", "x", "y"), [('a,"b"', 0.1 + 0.2, None), ("c", math.nan, 0)])
    assert b"\r" not in path.read_bytes()
    with path.open(newline="", encoding="utf-8") as file:
        names, first, second = csv.reader(file)
    assert names == ["name", "x", "y"]
    assert (first[0], float(first[1]), first[2]) == ('a,"b"', 0.1 + 0.2, "")
    assert second == ["c", "", "0"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a|b", "a\\|b"),
        ("two\nlines", "two lines"),
        ("a\r\n| b |", "a \\| b \\|"),
        ("![s](https://x.org/s.png)", "!\\[s\\](https://x.org/s.png)"),
        ("[c](javascript:alert(1))", "\\[c\\](javascript:alert(1))"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("&lt;", "&amp;lt;"),
        ("`code`", "\\`code\\`"),
        ("*bold* ~~gone~~ _slanted_", "\\*bold\\* \\~~gone\\~~ \\_slanted\\_"),
        ("a_b_c", "a_b_c"),
        ("back\\|slash", "back\\\\\\|slash"),
    ],
)
def test_markdown_shows_a_name_as_it_is_and_in_one_line(name, written):
    told = markdown(Table(name, name, "c", ["x", name], [(name, [TableCell("1"), TableCell("2")])]))
    heading, _, note, _, head, _, row = told.splitlines()
    assert (heading, note) == (f"### {written}", written)
    assert (head, row) == (f"| c | x | {written} |", f"| {written} | 1 | 2 |")


def test_a_command_with_a_fence_ends_no_block(tmp_path):
    write_markdown(tmp_path / "t.md", [], "python attack.py '```'")
    assert (tmp_path / "t.md").read_text() == "````sh\npython attack.py '```'\n````\n"
