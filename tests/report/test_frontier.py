"""The frontier of a run: families, images that count, tables, files and the page."""

import csv
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from project.report.frontier import frontier_section, read_frontier
from project.report.frontier.families import families
from project.report.frontier.results import frontier_results
from project.report.frontier.tables import metric_title, shown_metrics
from project.report.run import Run
from project.statistics.miou import image_iou
from project.storage import layout
from project.storage.rows import Measure
from tests.report.rows import results_of
from tests.report.segmented import drawn_cells, slow_miou
from tests.report.segmented import run_of as segmented_run

FILES = (layout.FRONTIER, layout.FRONTIER_TEXT, layout.FRONTIER_PLOT, layout.FRONTIER_PNG)
SOURCE, TARGETS = "src", ("a", "b")


def letters(attack, victim, marks, seen, source=SOURCE, **columns):
    """Rows of images 0, 1, …

    A letter for each: ``x`` fooled, ``.`` kept, ``-`` wrong when clean, ``?`` unanswered.
    """
    told = {"x": True, ".": False, "-": False, "?": None}
    return [
        {
            "index": index,
            "attack": attack,
            "source": source,
            "victim": victim,
            "clean_correct": mark != "-",
            "fooled": told[mark],
            "steps": 10,
            "mse": seen[index],
            **{name: values[index] for name, values in columns.items()},
        }
        for index, mark in enumerate(marks)
    ]


def run_of(*groups, **facts):
    rows = [row for group in groups for row in group]
    pairs = dict.fromkeys((row["attack"], row["source"], row["victim"]) for row in rows)
    measures = [Measure(*key, "asr", 0.5) for key in pairs]
    return Run(layout.Path(), {"task": "classification", **facts}, results_of(rows), measures, [])


def by_hand(**facts):
    """Image 3 is wrong on b when clean; of mi@4, a gives no answer for image 0."""
    return run_of(
        letters("mi@4", SOURCE, "xxxx", [1.0] * 4),
        letters("mi@4", "a", "?x..", [1.0, 3.0, 5.0, 90.0]),
        letters("mi@4", "b", "xx.-", [1.0, 3.0, 5.0, 90.0]),
        letters("mi@2", "a", "x..x", [1.0, 1.0, 1.0, 90.0]),
        letters("mi@2", "b", "...-", [1.0, 1.0, 1.0, 90.0]),
        letters("flow@1", "a", "xxxx", [8.0] * 4),
        letters("flow@1", "b", "x..-", [8.0] * 4),
        letters("flow@0.5", "a", "....", [4.0] * 4),
        letters("flow@0.5", "b", "x..-", [4.0] * 4),
        letters("single", "a", "xxxx", [9.0] * 4),
        letters("alone@3", "a", "xxxx", [9.0] * 4),
        **facts,
    )


def test_families_are_attacks_of_two_budgets_and_the_source_is_no_target():
    data = families(by_hand())
    assert data.attacks == {"mi": ["mi@2", "mi@4"], "flow": ["flow@0.5", "flow@1"]}
    assert data.targets == ["a", "b", "all"]
    assert (data.rates, data.metrics) == (["transfer"], ["mse"])


def test_passes_are_steps_times_what_a_step_asks_and_unknown_where_a_step_is_no_pass():
    told = {"mi@2": {"kind": "gradient", "passes_per_step": 3}, "mi@4": {"kind": "gradient"}}
    told["flow@1"] = {"kind": "black_box"}
    passes = families(by_hand(attacks=told)).passes
    assert (passes["mi@2"], passes["mi@4"]) == (30, 10)
    assert math.isnan(passes["flow@1"])
    assert math.isnan(passes["flow@0.5"])


def test_a_flow_attack_has_made_all_its_steps_where_no_image_left_at_its_first_success():
    told = {"kind": "flow", "method": "SSTA", "steps": 250}
    run = run_of(
        letters("ssta@1", "a", "x.", [1.0, 2.0], success=[True, False]),
        letters("ssta@2", "a", "xx", [1.0, 2.0], success=[True, True]),
    )
    facts = {"ssta@1": told, "ssta@2": told | {"early_stop": False}}
    passes = families(Run(run.folder, run.facts | {"attacks": facts}, *_rest(run))).passes
    assert passes == {"ssta@1": (10 + 250) / 2, "ssta@2": 250}


def _rest(run):
    return run.results, run.measures, run.gallery


def test_only_images_that_every_victim_gets_right_count_and_no_row_without_an_answer():
    data = families(by_hand())
    assert data.images == 3
    rates = {key: found.rates["transfer"][0] for key, found in data.reached.items()}
    assert rates["mi@4", "a"] == 1 / 2  # images 1 and 2
    assert rates["mi@4", "b"] == 2 / 3
    assert rates["mi@4", "all"] == 3 / 5
    assert rates["mi@2", "all"] == 1 / 6
    seen = {key: found.visibility["mse"][0] for key, found in data.reached.items()}
    assert seen["mi@4", "a"] == 4.0
    assert seen["mi@4", "all"] == pytest.approx((3 + 5 + 1 + 3 + 5) / 5)


def test_a_victim_that_shares_a_network_with_the_source_is_no_target():
    assert families(by_hand(kin={SOURCE: ["b"]})).targets == ["a"]


def test_visibility_at_a_level_is_the_lines_and_what_never_gets_there_is_said():
    found = frontier_results(families(by_hand()), "mi")
    levels = {(one.family, one.target): one.levels for one in found.curves}
    low, high = (1.0, 1 / 6), ((3 + 5 + 1 + 3 + 5) / 5, 3 / 5)
    expected = low[0] + (0.5 - low[1]) / (high[1] - low[1]) * (high[0] - low[0])
    assert levels["mi", "all"][0.5].value == pytest.approx(expected)
    assert levels["mi", "all"][0.8].value == math.inf
    assert levels["flow", "a"][0.5].value == 6.0  # half way from 4, where nothing falls, to 8
    section = frontier_section(by_hand())
    told = {table.title: dict(table.rows) for table in section.tables}
    assert told["Least visibility: images fooled"]["mi"][-1].main == "never"
    assert told["Against mi: images fooled"]["flow"][1].main == "neither"


def test_metrics_that_are_1_for_the_unchanged_image_count_from_there_and_psnr_does_not():
    run = run_of(
        letters("mi@2", "a", "x.", [1.0, 2.0], ssim=[0.9, 0.7], psnr=[40.0, 30.0]),
        letters("mi@4", "a", "xx", [1.0, 2.0], ssim=[0.5, 0.7], psnr=[40.0, 30.0]),
    )
    data = families(run)
    assert data.metrics == ["mse", "ssim"]
    assert data.reached["mi@2", "a"].visibility["ssim"][0] == pytest.approx(0.2)
    assert metric_title("ssim") == "1 − SSIM ↓"


def test_tables_show_a_metric_of_each_kind():
    many = ["mse", "lpips_squeeze", "lpips_alex", "stlpips_vgg", "dists", "ciede2000", "ssim"]
    assert shown_metrics(many) == ["lpips_alex", "stlpips_vgg", "ciede2000", "ssim"]
    assert shown_metrics(["l0", "mse"]) == ["mse"]


@pytest.mark.parametrize(
    "run",
    [
        run_of(letters("mi@2", SOURCE, "x", [1.0]), letters("mi@4", SOURCE, "x", [1.0])),
        run_of(letters("mi", "a", "x", [1.0]), letters("pgd", "a", "x", [1.0])),
        run_of(letters("mi@2", "a", "-", [1.0]), letters("mi@4", "a", "-", [1.0])),
        run_of(letters("mi@2", "a", "x", [None]), letters("mi@4", "a", "x", [None])),
    ],
    ids=["white box", "no budgets", "nothing right", "no metric"],
)
def test_without_transfer_budgets_images_or_metrics_there_is_no_frontier(run):
    assert families(run) is None
    assert frontier_section(run) is None


def drawn(count=60, stronger=1.0):
    """Two families on drawn thresholds; the second needs more by a factor."""
    rng = np.random.default_rng(0)
    groups = []
    for name, factor in (("mi", 1.0), ("flow", stronger)):
        threshold = rng.exponential(factor, count)
        for budget in (0.5, 1.0, 2.0, 4.0):
            for victim in TARGETS:
                marks = ["x" if fooled else "." for fooled in threshold <= budget]
                seen = (budget * rng.normal(1, 0.1, count)).tolist()
                groups.append(letters(f"{name}@{budget:g}", victim, marks, seen))
    return run_of(*groups)


def test_the_less_visible_family_is_ahead_and_the_test_says_so():
    found = frontier_results(families(drawn(stronger=3.0)), "mi")
    one = next(c for c in found.contrasts if (c.target, c.level) == ("all", 0.5))
    assert one.ahead == one.winner == "reference"
    assert one.effect.value > 1.5
    assert one.effect.low > 1
    area = next(c for c in found.contrasts if (c.target, c.level) == ("all", None))
    assert area.winner == "reference"
    assert area.effect.low > 0
    back = frontier_results(families(drawn(stronger=3.0)), "flow")
    mirrored = next(c for c in back.contrasts if (c.target, c.level) == ("all", 0.5))
    assert mirrored.winner == "other"
    assert mirrored.p == one.p
    assert mirrored.effect.value == pytest.approx(1 / one.effect.value)


def test_a_single_image_has_no_interval_and_no_test():
    run = run_of(*(letters(name, "a", "x", [1.0]) for name in ("mi@2", "mi@4", "flow@1", "flow@2")))
    found = frontier_results(families(run), "mi")
    assert all(math.isnan(one.best.low) for one in found.curves)
    assert all(math.isnan(one.p) and one.winner == "neither" for one in found.contrasts)


def segmenters():
    attacks = ("pgd@2", "pgd@8", "mi@2", "mi@8")
    strength = {"pgd@2": 0.6, "pgd@8": 0.2, "mi@2": 0.5, "mi@8": 0.1}
    run = segmented_run(drawn_cells(attacks=attacks, strength=strength))
    seen = {attack: float(attack.rpartition("@")[2]) for attack in attacks}
    rows = [
        {"index": int(index), "attack": attack, "source": source, "victim": victim}
        | {"clean_correct": None, "fooled": None, "steps": 20, "mse": seen[attack] + index}
        for (attack, source, victim), cell in run.cells.items()
        for index in cell.index
    ]
    return Run(run.folder, run.facts, results_of(rows), run.measures, [], run.cells)


def test_of_segmenters_the_share_of_clean_miou_counts_and_that_of_each_images_own_classes():
    run = segmenters()
    data = families(run)
    assert data.rates == ["miou_lost", "image_iou_lost"]
    assert data.targets == ["a", "b", "all"]
    cells = {
        victim: run.cells["mi@8", source, victim] for source, victim in (("b", "a"), ("a", "b"))
    }
    clean = {name: slow_miou(cell.clean.sum(0)) for name, cell in cells.items()}
    after = {name: slow_miou(cell.adversarial.sum(0)) for name, cell in cells.items()}
    lost = data.reached["mi@8", "a"].rates["miou_lost"][0]
    assert lost == pytest.approx(1 - after["a"] / clean["a"])
    pooled = data.reached["mi@8", "all"].rates["miou_lost"][0]
    assert pooled == pytest.approx(1 - sum(after.values()) / sum(clean.values()))
    single = [
        np.nanmean(image_iou(counts)) for counts in (cells["a"].clean, cells["a"].adversarial)
    ]
    lost = data.reached["mi@8", "a"].rates["image_iou_lost"][0]
    assert lost == pytest.approx(1 - single[1] / single[0])


def test_iou_of_an_image_is_over_the_classes_of_its_truth():
    correct, predicted, labelled = [3, 0, 0], [5, 2, 0], [4, 0, 6]
    counts = np.array([[correct, predicted, labelled], [[0] * 3, predicted, [0] * 3]])
    found = image_iou(counts)
    assert found[0] == pytest.approx((3 / (5 + 4 - 3) + 0) / 2)  # the second class is not there
    assert math.isnan(found[1])


@pytest.mark.parametrize("run", [drawn(stronger=2.0), segmenters()], ids=["classes", "pixels"])
def test_files_hold_every_number_are_the_same_each_time_and_read_back(run, tmp_path):
    section = frontier_section(run, "flow@1")
    section.write(tmp_path, "python attack.py")
    rows = read_frontier(tmp_path)
    tables = {row.table for row in rows}
    assert tables == {"point", "best", "level", "level_contrast", "area"}
    keys = [(r.table, r.family, r.attack, r.target, r.rate, r.metric, r.level) for r in rows]
    assert len(set(keys)) == len(keys)
    with (tmp_path / layout.FRONTIER).open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    first = [(tmp_path / name).read_bytes() for name in FILES]
    frontier_section(run, "flow@1").write(tmp_path, "python attack.py")
    assert [(tmp_path / name).read_bytes() for name in FILES] == first
    text = (tmp_path / layout.FRONTIER_TEXT).read_text(encoding="utf-8")
    assert text.startswith("```sh\npython attack.py\n```\n")
    assert not re.search(r"(?<![a-z])nan(?![a-z])", text)
    root = ElementTree.fromstring((tmp_path / layout.FRONTIER_PLOT).read_bytes())
    assert root.tag.endswith("svg")
    assert not re.search(r"(?<![a-z])(nan|inf|None)(?![a-z])", section.picture.decode())
    assert section.description.startswith("Transfer against visibility (MSE")


def test_the_reference_is_the_first_family_or_that_of_the_attack_named():
    assert frontier_section(drawn()).found.reference == "mi"
    assert frontier_section(drawn(), "flow@2").found.reference == "flow"
    assert frontier_section(drawn(), "ssta").found.reference == "mi"
