"""All tables of a run and of its study, opened in a spreadsheet."""

import csv

from project.report import build_report
from project.report.masking.check import read_findings
from project.study.__main__ import main
from project.study.create import open_or_make
from tests.study.studies import agreed, judge_all, make_run

ATTACKS = ("=1+1", "@SUM(A1);=2+2", "-cmd|' /C calc'!A0")
SOURCE = '+HYPERLINK("https://example.org")'


def test_no_table_of_a_run_or_study_holds_a_formula(tmp_path, capsys):
    make_run(tmp_path, ATTACKS, (SOURCE,))
    build_report(tmp_path)
    database = open_or_make(tmp_path, "study", {"pages": 6, "checks": 2})
    for rater, _ in agreed(database, 3):
        judge_all(database, rater, lambda panel: panel.modified)
    for command in ("export", "analyse"):
        main([command, str(tmp_path)])
    found = sorted(path.name for path in tmp_path.glob("*.csv"))
    assert found == [
        *("comparison.csv", "masking.csv", "metrics.csv", "study.csv", "study_answers.csv")
    ]
    for name in found:
        for delimiter in ",;\t":
            with (tmp_path / name).open(newline="", encoding="utf-8") as file:
                cells = [cell for line in csv.reader(file, delimiter=delimiter) for cell in line]
            assert not [cell for cell in cells if is_formula(cell)], name
    assert {one.victim for one in read_findings(tmp_path)} == {SOURCE}


def is_formula(cell):
    try:
        float(cell)
    except ValueError:
        return cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return False
