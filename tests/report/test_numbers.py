import math
from pathlib import Path

import pytest

from project.metrics import wilson_interval
from project.report import build_report
from project.report.headline import headlines
from project.report.matrix import matrix
from project.report.numbers import interval, number, percent, shortened, tick_text, visible
from project.report.run import Run
from project.report.visibility import both_rates, set_distances, visibility
from project.statistics.wilson import wilson
from project.storage.rows import Measure, write_measures, write_rows
from tests.report.rows import results_of


def run_of(rows=(), measures=(), **facts):
    return Run(Path(), facts, results_of(rows), list(measures), [])


def image(index, fooled, clean_correct=True, attack="ssta", **more):
    return {
        "index": index,
        "attack": attack,
        "source": "a",
        "victim": "a",
        "fooled": fooled,
        "fooled_pixels": None,
        "clean_correct": clean_correct,
        "steps": 10 * index,
        **more,
    }


def asr(source, victim, hits, total, attack="ssta"):
    value, low, high, _, _ = wilson_interval(hits, total)
    return Measure(attack, source, victim, "asr", value, low, high, hits, total)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 2, "–"),
        (math.nan, 2, "–"),
        (math.inf, 2, "∞"),
        (0.0, 2, "0.00"),
        (3.14159, 2, "3.14"),
        (0.000123, 2, "0.00012"),
        (12.0, 0, "12"),
    ],
)
def test_numbers_as_text(value, digits, text):
    assert number(value, digits) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 3, "0"),
        (0.0037449, 3, "0.00374"),
        (-0.00012349, 3, "-0.000123"),
        (123456.0, 2, "120000"),
        (2e-6, 2, "2·10⁻⁶"),
        (1e7, 2, "10⁷"),
        (999999.0, 3, "10⁶"),
        (-1.2345e-12, 3, "-1.23·10⁻¹²"),
    ],
)
def test_ticks_as_text(value, digits, text):
    assert tick_text(value, digits) == text


def test_shares_as_text():
    assert [percent(x) for x in (None, math.nan, 0.5, 1.0)] == ["–", "–", "50.0 %", "100.0 %"]
    assert interval(asr("a", "b", 1, 2)) == "9.5–90.5 %"
    assert interval(Measure("ssta", "a", "b", "miou", 0.5)) == ""


def test_headlines_pool_the_diagonal_and_the_rest_with_one_pairs_interval():
    run = run_of(
        measures=[
            asr("a", "a", 9, 10),
            asr("a", "b", 2, 8),
            asr("b", "a", 4, 12),
            asr("b", "b", 10, 10),
            Measure("", "", "a", "clean_accuracy", 0.9, 0.8, 1.0, 9, 10),
        ]
    )
    [headline] = headlines(run)
    white, transfer = headline.numbers
    assert (white.value, white.basis) == ("95.0 %", "19 of 20 in 2 pairs")
    assert (transfer.value, transfer.basis) == ("30.0 %", "6 of 20 in 2 pairs")
    low, high = wilson(0.3, 10)
    assert transfer.interval == f"{100 * low:.1f}–{100 * high:.1f} %"


def test_a_single_victim_has_no_transfer_number():
    [headline] = headlines(run_of(measures=[asr("a", "a", 9, 10)]))
    assert headline.numbers[1].value == "–"


def test_a_classification_matrix_shows_rates_and_marks_the_diagonal():
    run = run_of(
        measures=[
            Measure("", "", "a", "clean_accuracy", 0.9, 0.8, 1.0, 9, 10),
            asr("a", "a", 9, 10),
            asr("a", "b", 2, 8),
        ]
    )
    shown = matrix(run, "ssta")
    [(source, [white, transfer])] = shown.rows
    assert (source, shown.victims) == ("a", ["a", "b"])
    assert (white.main, white.details[0], white.heat, white.white_box) == (
        "90.0 %",
        "9 of 10",
        0.9,
        True,
    )
    assert (transfer.main, transfer.details, transfer.white_box) == (
        "25.0 %",
        ("2 of 8", "7.1–59.1 %"),
        False,
    )
    assert [cell.main for cell in shown.clean] == ["90.0 %", "–"]


def test_a_segmentation_matrix_shows_the_drop_from_clean():
    run = run_of(
        measures=[
            Measure("", "", "a", "clean_miou", 0.8),
            Measure("", "", "b", "clean_miou", 0.5),
            Measure("pgd", "a", "a", "miou", 0.2),
            Measure("pgd", "a", "b", "miou", 0.55),
        ],
        task="segmentation",
    )
    [(_, [white, transfer])] = matrix(run, "pgd").rows
    assert (white.main, white.details, white.heat) == ("20.0 %", ("−60.0",), pytest.approx(0.75))
    assert (transfer.main, transfer.details, transfer.heat) == ("55.0 %", ("+5.0",), 0.0)
    [headline] = headlines(run)
    assert [item.value for item in headline.numbers] == ["20.0 %", "55.0 %"]
    assert headline.numbers[0].basis == "mean of 1 pair, clean 80.0 %"


def test_a_rate_of_nothing_is_a_dash_not_a_number():
    nothing = Measure("ssta", "a", "a", "asr", math.nan, math.nan, math.nan, 0, 0)
    [(_, [cell])] = matrix(run_of(measures=[nothing]), "ssta").rows
    assert (cell.main, cell.heat) == ("–", None)


def test_visibility_averages_fooled_images_and_counts_infinite_psnr():
    rows = [
        image(1, True, psnr=40.0, linf=2 / 255),
        image(2, True, psnr=math.inf, linf=0.0),
        image(3, True, psnr=50.0, linf=4 / 255),
        image(4, False, psnr=10.0, linf=1.0),
        image(5, True, psnr=0.0, linf=1.0) | {"victim": "b"},
    ]
    table = visibility(run_of(rows, [asr("a", "a", 3, 4)]))
    assert table.columns == ["steps (median)", "PSNR ↑ (dB)", "L∞ ↓ (/255)"]
    assert table.rows == [("ssta", "a", "3 of 4", ["20", "45.00 (+1 × ∞)", "2.0"])]


def test_visibility_of_segmentation_averages_images_with_a_fooled_pixel():
    rows = [
        image(1, None, None, ssim=0.5) | {"fooled_pixels": 7},
        image(2, None, None, ssim=0.1) | {"fooled_pixels": 0},
    ]
    measures = [Measure("ssta", "a", "a", "miou", 0.1)]
    [row] = visibility(run_of(rows, measures, task="segmentation")).rows
    assert row[2:] == ("1 of 2", ["10", "0.5000"])


def test_distances_between_sets_stand_with_their_number_of_images():
    measures = [
        Measure("ssta", "a", "a", "asr", 0.5, 0.1, 0.9, 1, 2),
        Measure("ssta", "a", "a", "fid_resnet", 12.3456, total=40),
        Measure("ssta", "a", "a", "fid_resnet_fooled", math.nan, total=1),
        Measure("pgd", "a", "a", "kid_resnet", 0.00012345, total=40),
    ]
    table = set_distances(run_of(measures=measures))
    assert table.columns == ["fid_resnet", "fid_resnet_fooled", "kid_resnet"]
    assert table.rows == [
        ("ssta", "a", ["12.3 (N = 40)", "–", "–"]),
        ("pgd", "a", ["–", "–", "0.000123 (N = 40)"]),
    ]


def test_success_is_counted_in_both_ways_where_both_are_measured():
    rows = [image(n, n < 2, clean_correct=n < 4) for n in range(5)]
    both = asr("a", "a", 2, 4), asr("a", "a", 2, 3)._replace(metric="asr_paper")
    [rates] = both_rates(run_of(rows, [*both, asr("a", "a", 1, 1, "pgd")]))
    assert rates.attack == "ssta"
    assert rates.ours == "50.0 % (2 of 4, 15.0–85.0 %)"
    assert rates.papers == "66.7 % (2 of 3, 20.8–93.9 %)"
    assert rates.skipped == "1 small mask, 1 wrong when clean"


def test_a_papers_rate_over_no_image_is_told_with_what_it_skips():
    rows = [image(n, n < 2, clean_correct=n < 4) for n in range(5)]
    nothing = asr("a", "a", 0, 0)._replace(metric="asr_paper")
    small = asr("a", "a", 4, 4)._replace(metric="small_mask")
    [rates] = both_rates(run_of(rows, [asr("a", "a", 2, 4), nothing, small]))
    assert rates.papers == "– (0 of 0)"
    assert rates.skipped == "4 small mask, 1 wrong when clean"


def test_no_name_turns_what_stands_beside_it(tmp_path):
    name = "\u202egdp\u2066"
    write_measures(
        tmp_path / "metrics.csv", [Measure(name, "a", "a", "asr", 0.125, None, None, 1, 8)]
    )
    write_rows(tmp_path / "rows.parquet", [])
    (tmp_path / "run.json").write_text("{}")
    page = build_report(tmp_path).read_text(encoding="utf-8")
    assert "\u202e" not in page
    assert "\\u202egdp\\u2066" in page
    assert visible(name) == "\\u202egdp\\u2066"


def test_a_long_name_keeps_both_ends_in_a_figure():
    assert shortened("pgd") == "pgd"
    assert shortened("a" * 30 + "b" * 30) == "a" * 27 + "…" + "b" * 12
