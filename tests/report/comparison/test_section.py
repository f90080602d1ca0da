import csv
import math
import shutil
import sys
from xml.etree import ElementTree

import pytest

from project.report import build_report
from project.report.__main__ import main
from project.report.comparison.compare import compare
from project.report.comparison.tables import tables
from project.report.tables import TableCell
from project.report.templates import data_uri
from project.storage.rows import write_measures, write_rows
from tests.report.rows import data_of, listed, rows_of, run_of
from tests.report.test_page import Page

FILES = ("comparison.csv", "comparison.md", "pareto.svg")


def groups():
    return [
        rows_of("ssta", "a", "xxx.-", lpips_alex=[0.001, 0.002, 0.5, 9.0, 9.0], mse=[1.0] * 5),
        rows_of("stadv", "a", "xx.x-", lpips_alex=[0.002, 0.006, 9.0, 0.1, 9.0], mse=[3.0] * 5),
        rows_of("a|b<i>", "a", "xx.x-", lpips_alex=[0.2, 0.6, 9.0, 0.1, 9.0], mse=[3.0] * 5),
    ]


def table(title, *of, **facts):
    found = tables(compare(data_of(*(of or groups()), **facts)))
    return next(one for one in found if one.title == title)


def cell(found, row, column):
    return dict(found.rows)[row][found.columns.index(column)]


@pytest.fixture
def run(tmp_path):
    finished = run_of(*groups())
    write_rows(tmp_path / "rows.parquet", listed(finished.results))
    write_measures(tmp_path / "metrics.csv", finished.measures)
    (tmp_path / "run.json").write_text('{"task": "classification", "command": "python x <&> y"}')
    return tmp_path


def test_the_success_table_has_rate_denominator_interval_and_the_papers_figure():
    found = table("Success")
    assert cell(found, "ssta", "a") == TableCell("75.0 %", ("3 of 4", "30.1–95.4 %"))
    assert cell(found, "ssta", "SSTA's paper") == TableCell("100.0 %", ("99.9–100.0 %",))
    assert cell(found, "stadv", "SSTA's paper") == TableCell("100.0 %")
    assert cell(found, "a|b<i>", "SSTA's paper") == TableCell("–")
    assert found.columns == ["a", "SSTA's paper"]


def test_attacks_that_are_not_in_the_paper_have_no_column_of_it():
    of = rows_of("pgd", "a", "xx"), rows_of("fgsm", "b", "xx"), rows_of("pgd", "b", "xx")
    found = table("Success", *of, rows_of("fgsm", "a", "xx"))
    assert found.columns == ["a", "b", "all"]
    assert "paper" not in found.note


def test_the_quality_table_says_what_is_matched_and_what_lies_beyond():
    found = table("Quality at matched success")
    assert "2 pairs of image and victim that every attack fools (2 on a; 2 different" in found.note
    assert cell(found, "stadv", "fooled beyond") == TableCell("+1")
    shown = cell(found, "ssta", "LPIPS ↓ (alex)")
    assert (shown.main, shown.details[-1]) == ("0.0015", "paper 0.0038")
    assert cell(found, "ssta", "MSE ↓ (0–255)").details == ("1.00–1.00", "paper 2.12")


def test_an_infinite_psnr_is_told_beside_the_mean():
    of = rows_of("ssta", "a", "xxx", psnr=[50.0, math.inf, 40.0]), rows_of("pgd", "a", "xxx")
    shown = cell(table("Quality at matched success", *of), "ssta", "PSNR ↑ (dB)")
    assert shown == TableCell("45.00", ("40.00–50.00", "+1 × ∞", "paper 49.24"))


def test_nothing_in_common_is_said():
    of = [rows_of("ssta", "a", "x.", mse=[1.0, 1]), rows_of("pgd", "a", ".x", mse=[1.0, 1])]
    found = table("Quality at matched success", *of)
    assert found.note.startswith("No image is fooled by every attack")
    assert cell(found, "ssta", "MSE ↓ (0–255)").main == "–"
    assert not any("Quality against" in one.title for one in tables(compare(data_of(*of))))


def test_the_contrast_has_factor_interval_p_the_papers_factor_and_a_sign_for_the_better():
    ours, theirs = [float(k) for k in range(1, 13)], [2.5 * k + 3 for k in range(1, 13)]
    of = [
        rows_of("ssta", "a", "x" * 12, mse=ours, psnr=theirs),
        rows_of("advdrop", "a", "x" * 12, mse=theirs, psnr=ours),
        rows_of("pgd", "a", "x" * 12, mse=ours, psnr=ours),
    ]
    found = table("Quality against ssta", *of)
    shown = cell(found, "advdrop", "MSE ↓ (0–255)")
    assert (shown.main, shown.mark) == ("×2.96", "✓")
    assert shown.details[1:] == ("p 0.002", "paper ×8.04")  # 2 / 2^12, times 4 tests
    assert cell(found, "pgd", "MSE ↓ (0–255)").main == "×1.00"
    assert cell(found, "pgd", "MSE ↓ (0–255)").details == ("1.00 … 1.00", "p 1.000")
    shown = cell(found, "advdrop", "PSNR ↑ (dB)")
    assert (shown.main, shown.mark, shown.details[-1]) == ("−12.75", "✓", "paper −13.09")
    assert cell(found, "pgd", "pairs") == TableCell("12", ("12 images",))


def test_success_against_the_reference_is_marked_where_it_is_shown():
    of = rows_of("ssta", "a", "x" * 12 + "."), rows_of("pgd", "a", "." * 12 + "x")
    shown = cell(table("Success against ssta", *of), "pgd", "a")
    assert (shown.main, shown.mark, shown.details) == ("12 : 1", "✓", ("p 0.003",))
    of = [rows_of("ssta", "a", "x" * 6), *(rows_of(k, "a", "." * 6) for k in ("pgd", "fgsm"))]
    shown = cell(table("Success against ssta", *of), "pgd", "a")
    assert (shown.mark, shown.details) == ("", ("p 0.062",))  # 2 / 2^6, times 2 tests
    of = rows_of("ssta", "a", "." * 9), rows_of("pgd", "a", "x" * 9)
    assert cell(table("Success against ssta", *of), "pgd", "a").mark == "✗"


def test_the_report_shows_the_comparison_and_writes_its_files(run):
    page = Page(build_report(run).read_text(encoding="utf-8"))
    assert "comparison" in page.attributes("id")
    assert "Quality at matched success" in page.text
    assert not any(tag == "i" for tag, _ in page.elements)
    text = (run / "comparison.md").read_text(encoding="utf-8")
    assert text.startswith("```sh\npython x <&> y\n```\n")
    assert text.count("### ") == 4
    picture = (run / "pareto.svg").read_bytes()
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    [alt] = [
        values["alt"]
        for tag, values in page.elements
        if tag == "img" and values.get("src") == data_uri(picture, "svg+xml")
    ]
    assert "stadv: 75.0 % fooled" in alt


def test_the_csv_has_every_number_with_its_denominator(run):
    build_report(run)
    with (run / "comparison.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    by = {(x["table"], x["attack"], x["victim"], x["metric"]): x for x in lines}
    assert len(by) == len(lines) == 6 + 6 + 4 + 4 + 6
    success = by["success", "ssta", "all", "asr"]
    assert (success["hits"], success["pairs"], success["value"]) == ("3", "4", "0.75")
    assert float(success["published"]) == pytest.approx(0.99972)
    effect = by["quality_contrast", "stadv", "all", "lpips_alex"]
    assert float(effect["value"]) == pytest.approx(0.008 / 0.003)
    assert float(effect["published"]) == pytest.approx(0.1595 / 0.0038)
    assert (effect["reference"], effect["pairs"], float(effect["p"])) == ("ssta", "2", 0.5)
    assert by["success_contrast", "stadv", "a", "only_other"]["value"] == "1"
    point = by["pareto", "stadv", "all", "asr"]
    assert (point["hits"], point["pairs"]) == ("3", "4")


def test_the_same_rows_give_the_same_files(run):
    build_report(run)
    first = [(run / name).read_bytes() for name in FILES]
    build_report(run)
    assert [(run / name).read_bytes() for name in FILES] == first


def test_the_reference_can_be_named_on_the_command_line(run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", str(run), "--reference", "stadv"])
    main()
    assert "Quality against stadv" in (run / "comparison.md").read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["report", str(run), "--reference", "pgd"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "one of ssta, stadv, a|b<i>, got 'pgd'" in capsys.readouterr().err


def test_a_run_of_segmenters_without_counts_by_class_has_no_comparison(segmentation_run, tmp_path):
    for name in ("rows.parquet", "metrics.csv", "run.json"):
        shutil.copy(segmentation_run / name, tmp_path)
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert "comparison" not in page.attributes("id")
    assert not any((tmp_path / name).exists() for name in FILES)
    with pytest.raises(ValueError, match="needs rows with counts of pixels by class"):
        build_report(tmp_path, "pgd")
