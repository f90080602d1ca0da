"""Attacks on segmenters compared: means, intervals and the paired test, against slow references."""

import csv
import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from project.report import build_report
from project.report.__main__ import main
from project.report.headline import headlines
from project.report.run import Run
from project.report.segmentation import transfer_section
from project.report.segmentation.compare import contrasts, means
from project.report.segmentation.pairs import transfer_data
from project.statistics.bootstrap import RESAMPLES, SEED
from project.statistics.miou import Cell, mean_iou
from project.statistics.paired_tests import holm
from project.storage.rows import write_measures, write_rows
from tests.report.segmented import counted, drawn_cells, run_of, slow_miou, stacked
from tests.report.test_page import Page

TRANSFER = [("a", "b"), ("b", "a")]


def test_a_mean_over_pairs_and_its_interval_are_those_of_images_drawn_for_all_pairs_at_once():
    cells = drawn_cells(seed=2, images=12)
    data = transfer_data(run_of(cells))
    [found] = [
        one.estimate
        for one in means(data)
        if (one.attack, one.group, one.metric) == ("pgd", "transfer", "miou")
    ]
    counts = stacked(cells, "pgd", TRANSFER)
    assert found.value == np.mean([slow_miou(counts[:, k].sum(0)) for k in (0, 1)])
    chosen = np.random.default_rng(SEED).integers(0, 12, (RESAMPLES, 12))
    drawn = [np.mean([slow_miou(counts[c, k].sum(0)) for k in (0, 1)]) for c in chosen[:300]]
    assert found.low < found.value < found.high
    assert np.mean([found.low <= one <= found.high for one in drawn]) == pytest.approx(
        0.95, abs=0.04
    )


def test_pairs_whose_victim_shares_a_network_with_the_source_are_in_no_mean_and_no_test():
    cells = drawn_cells(names=("a", "b", "both"))
    kin = {"both": ["a", "b"], "a": ["both"], "b": ["both"]}
    data = transfer_data(run_of(cells, kin=kin))
    assert data.transfer == TRANSFER
    assert data.white_box == [("a", "a"), ("b", "b"), ("both", "both")]
    alone = transfer_data(run_of({key: cell for key, cell in cells.items() if "both" not in key}))
    transfer = [one for one in means(data) if one.group == "transfer"]
    assert transfer == [one for one in means(alone) if one.group == "transfer"]
    assert contrasts(data, "pgd")[0] == contrasts(alone, "pgd")[0]
    assert not any(one.pair and set(one.pair) == {"a", "both"} for one in contrasts(data, "pgd")[1])
    [headline, _] = headlines(run_of(cells, kin=kin), means(data))
    white, other = headline.numbers
    assert "3 pairs" in white.basis
    assert "2 pairs" in other.basis
    low, high = transfer[0].estimate[1:]
    assert other.interval == f"{100 * low:.1f}–{100 * high:.1f} %"


def test_the_difference_is_that_of_means_with_its_paired_interval_and_p_by_holm():
    cells = drawn_cells(3, 10, ("pgd", "segpgd", "TranSeg-PGD"), strength={"TranSeg-PGD": 0.1})
    data = transfer_data(run_of(cells))
    assert data.reference(None) == "TranSeg-PGD"
    overall, by_pair = contrasts(data, "TranSeg-PGD")
    estimates = {
        one.attack: one.estimate.value
        for one in means(data)
        if (one.group, one.metric) == ("transfer", "miou")
    }
    for one in overall:
        expected = estimates[one.attack] - estimates["TranSeg-PGD"]
        assert one.difference.value == pytest.approx(expected)
        assert one.difference.low < expected < one.difference.high
    assert [one.corrected for one in overall] == holm([one.p for one in overall])
    assert [one.corrected for one in by_pair] == holm([one.p for one in by_pair])
    assert len(by_pair) == 2 * 4
    assert {one.winner for one in overall} == {"reference"}
    mirrored = contrasts(data, "pgd")[0]
    [other] = [one for one in mirrored if one.attack == "TranSeg-PGD"]
    assert other.winner == "other"
    assert other.p == overall[0].p
    assert other.difference.value == -overall[0].difference.value


def test_a_paired_interval_is_narrower_than_what_images_have_in_common():
    rng = np.random.default_rng(0)
    labelled = np.full((30, 2), 100)
    hard = rng.integers(20, 90, (30, 1))

    def cell(right):
        correct = np.clip(right + rng.integers(0, 3, (30, 2)), 0, 100)
        counts = np.stack([correct, labelled, labelled], 1)
        clean = np.stack([labelled] * 3, 1)
        fooled, judged = 100 - correct.sum(1) // 2, labelled.sum(1)
        return Cell(np.arange(30), counts, clean, fooled, judged)

    cells = {("pgd", "a", "b"): cell(hard), ("x", "a", "b"): cell(hard - 4)}
    data = transfer_data(run_of(cells))
    [one], _ = contrasts(data, "x")
    [alone] = [m.estimate for m in means(data) if (m.attack, m.metric) == ("pgd", "miou")]
    assert one.difference.high - one.difference.low < 0.2 * (alone.high - alone.low)
    assert one.winner == "reference"


def test_the_reference_is_the_first_transegpgd_else_the_last_else_the_one_named():
    data = transfer_data(run_of(drawn_cells(attacks=("pgd", "mi_transegpgd", "transegpgd"))))
    assert data.reference(None) == "mi_transegpgd"
    assert transfer_data(run_of(drawn_cells(attacks=("pgd", "segpgd")))).reference(None) == "segpgd"
    assert data.reference("pgd") == "pgd"
    with pytest.raises(ValueError, match="one of pgd, mi_transegpgd, transegpgd, got 'fgsm'"):
        data.reference("fgsm")


def test_a_transegpgd_is_known_by_its_class_whatever_its_name():
    methods = {"pgd": "PGD", "not_transegpgd": "CosPGD", "tse": "TranSegPGD", "last": "SegPGD"}
    facts = {attack: {"kind": "gradient", "method": found} for attack, found in methods.items()}
    data = transfer_data(run_of(drawn_cells(attacks=tuple(methods)), attacks=facts))
    assert data.reference(None) == "tse"
    facts["pgd"]["method"] = "Aimed(TranSegPGD)"
    assert data.reference(None) == "pgd"


def test_with_five_images_the_table_says_that_nothing_can_be_shown():
    few, more = (transfer_section(run_of(drawn_cells(images=n))) for n in (5, 6))
    [note] = [t.note for t in few.tables if t.title.startswith("Transfer against")]
    assert "With 5 images no p can be below 5 %" in note
    assert not any("no p can be" in table.note for table in more.tables)
    assert all(one.p >= 2 / 2**5 for one in [*few.overall, *few.by_pair])


def test_with_one_victim_the_table_of_pairs_says_what_the_test_is():
    alone = transfer_section(run_of(drawn_cells(images=5, names=("a",))))
    [_, pairs] = alone.tables
    assert pairs.title.startswith("Each pair against")
    assert "as above" not in pairs.note
    assert "two-sided permutation test: all 32 swaps" in pairs.note
    assert "With 5 images no p can be below 5 %" in pairs.note
    [_, overall, pairs] = transfer_section(run_of(drawn_cells(images=5))).tables
    assert "as above" in pairs.note
    assert all(("permutation test" in t.note) == (t is overall) for t in (overall, pairs))


def test_a_single_image_has_numbers_and_no_interval():
    section = transfer_section(run_of(drawn_cells(images=1)))
    assert all(math.isnan(one.estimate.low) for one in section.means)
    assert [one.p for one in section.overall] == [1.0]
    assert all("nan" not in str(table) for table in section.tables)


def test_one_attack_alone_has_means_and_no_test():
    section = transfer_section(run_of(drawn_cells(attacks=("pgd",))))
    assert [table.title for table in section.tables] == ["Means over pairs"]


def test_cells_of_different_images_are_refused():
    cells = drawn_cells()
    odd = cells["pgd", "a", "b"]
    cells["pgd", "a", "b"] = replace(odd, index=odd.index + 1)
    with pytest.raises(ValueError, match="must have judged the same images"):
        transfer_data(run_of(cells))


@pytest.fixture
def folder(tmp_path):
    run = run_of(drawn_cells(images=7))
    rows = [
        {
            **dict(zip(("attack", "source", "victim"), key, strict=True)),
            "index": place,
            "task": "segmentation",
            "fooled_pixels": int(cell.fooled[place]),
            "clean_correct_pixels": int(cell.clean[place, 0].sum()),
            **counted(cell, place),
        }
        for key, cell in run.cells.items()
        for place in range(7)
    ]
    write_rows(tmp_path / "rows.parquet", rows[::-1])
    write_measures(tmp_path / "metrics.csv", run.measures)
    (tmp_path / "run.json").write_text('{"task": "segmentation", "command": "python x <&> y"}')
    return tmp_path


def test_counts_come_back_from_the_file_as_they_were(folder):
    cells, expected = Run.read(folder).cells, drawn_cells(images=7)
    assert cells.keys() == expected.keys()
    for key, cell in cells.items():
        for name in ("index", "adversarial", "clean", "fooled"):
            assert np.array_equal(getattr(cell, name), getattr(expected[key], name))


def test_the_files_hold_every_number_and_are_the_same_every_time(folder):
    build_report(folder)
    names = ("transfer.csv", "transfer.md", "transfer.svg", "transfer.png", "report.html")
    first = [(folder / name).read_bytes() for name in names]
    build_report(folder)
    assert [(folder / name).read_bytes() for name in names] == first
    with (folder / "transfer.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert {line["images"] for line in lines} == {"7"}
    tables = [line["table"] for line in lines]
    assert [tables.count(name) for name in ("cell", "mean", "contrast")] == [2 + 8, 2 * 2 * 3, 5]
    [overall] = [x for x in lines if (x["table"], x["victim"]) == ("contrast", "all")]
    assert (overall["reference"], overall["pairs"]) == ("transegpgd", "2")
    [one], _ = contrasts(transfer_data(Run.read(folder)), "transegpgd")
    assert float(overall["value"]) == one.difference.value
    assert float(overall["p"]) == float(overall["p_holm"]) == one.p
    cells = drawn_cells(images=7)
    for line in lines:
        if (line["table"], line["metric"]) == ("cell", "miou"):
            counts = cells[line["attack"], line["source"], line["victim"]].adversarial.sum(0)
            assert float(line["value"]) == float(mean_iou(counts))


def test_page_and_markdown_show_the_tables(folder):
    page = Page(build_report(folder).read_text(encoding="utf-8"))
    text = " ".join(page.text)
    markdown = (folder / "transfer.md").read_text(encoding="utf-8")
    for title in (
        "Means over pairs",
        "Transfer against transegpgd",
        "Each pair against transegpgd",
    ):
        assert title in text
        assert f"### {title}" in markdown
    assert markdown.startswith("```sh\npython x <&> y\n```")
    assert "### Transfer of pgd" in markdown


def test_the_reference_can_be_named_on_the_command_line(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", str(folder), "--reference", "pgd"])
    main()
    assert "Transfer against pgd" in (folder / "transfer.md").read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["report", str(folder), "--reference", "fgsm"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "one of pgd, transegpgd, got 'fgsm'" in capsys.readouterr().err


def test_contrasts_need_no_transfer_pair():
    cells = {key: cell for key, cell in drawn_cells().items() if key[1] == key[2] == "a"}
    overall, by_pair = contrasts(transfer_data(run_of(cells)), "pgd")
    assert overall == []
    assert [one.pair for one in by_pair] == [("a", "a")]
