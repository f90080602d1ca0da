"""Signs of hidden gradients: each is found where it is planted, and none where there is none."""

import json
import shutil

import numpy as np
import pytest
from scipy.stats import binomtest

from project.report import build_report
from project.report.masking import (
    Finding,
    flagged_sentences,
    masking_section,
    read_findings,
)
from project.report.masking.attack_outcome import Budget, Outcome, Traits
from project.report.masking.checks_between import gains, not_ahead
from project.report.masking.section import findings
from project.storage.rows import write_measures, write_rows
from tests.report.rows import listed, rows_of, run_of
from tests.report.test_page import Page

EPS = 8 / 255
TRAITS = {
    "fgsm": {"kind": "gradient", "method": "FGSM", "steps": 1, "norm": "linf", "eps": EPS},
    "pgd10": {"kind": "gradient", "method": "PGD", "steps": 10, "norm": "linf", "eps": EPS},
    "pgd50": {"kind": "gradient", "method": "PGD", "steps": 50, "norm": "linf", "eps": EPS},
    "wide": {"kind": "gradient", "method": "PGD", "steps": 10, "norm": "linf", "eps": 2 * EPS},
    "any": {"kind": "gradient", "method": "PGD", "steps": 10, "norm": "linf", "eps": 1.0},
    "square": {"kind": "black_box", "method": "Square", "norm": "linf", "eps": EPS},
    "stadv": {"kind": "flow", "method": "StAdv", "steps": 100},
}
CLEAN = {"fgsm": 40, "pgd10": 60, "pgd50": 62, "wide": 80, "any": 100, "square": 50, "stadv": 90}
"""Of 100 images, how many each attack fools, where nothing is wrong."""
CHECKS = {"one step", "more steps", "larger budget", "no gradient", "unbounded", "gradients"}


def fooled(count, of=100):
    return "x" * count + "." * (of - count) + "-" * 5


def run_with(
    numbers=None, zero=0.0, bad=0.0, transfer=20, unit=rows_of, traits=TRAITS, of=100, change=None
):
    """A run of the attacks on victim a, and of pgd10 made on b and judged by a."""
    counts = CLEAN | (numbers or {})
    gradients = {"zero_gradient": [zero] * (of + 5), "bad_gradient": [bad] * (of + 5)}
    groups = [
        unit(attack, "a", fooled(count * of // 100, of), **gradients)
        for attack, count in counts.items()
    ]
    from_b = unit("pgd10", "a", fooled(transfer * of // 100, of), **gradients)
    task = "segmentation" if unit is as_pixels else "classification"
    rows = [*groups, [row | {"source": "b"} for row in from_b]]
    if change:
        rows = [[change(row) for row in group] for group in rows]
    return run_of(*rows, task=task, attacks=traits)


def as_pixels(attack, victim, letters, **columns):
    """Segmenters' rows: of 10 right pixels per image so many are fooled as images of 100."""
    total, right = letters.count("x"), len(letters.rstrip("-"))
    return [
        row
        | {
            "task": "segmentation",
            "clean_correct": None,
            "fooled": None,
            "clean_correct_pixels": 1000,
            "fooled_pixels": 1000 * total // right + index % 3,
        }
        for index, row in enumerate(rows_of(attack, victim, letters, **columns))
    ]


def verdicts(run):
    return {found.check: found.verdict for found in findings(run)}


@pytest.mark.parametrize("unit", [rows_of, as_pixels])
def test_nothing_is_flagged_where_nothing_is_wrong(unit):
    assert verdicts(run_with(unit=unit)) == dict.fromkeys(CHECKS, "passed")


@pytest.mark.parametrize("unit", [rows_of, as_pixels])
@pytest.mark.parametrize(
    ("check", "defect"),
    [
        ("one step", {"numbers": {"fgsm": 75, "square": 20}}),
        ("more steps", {"numbers": {"pgd10": 70, "pgd50": 45}}),
        ("larger budget", {"numbers": {"wide": 45}}),
        ("no gradient", {"numbers": {"square": 85}}),
        ("no gradient", {"transfer": 85}),
        ("unbounded", {"numbers": {"any": 94}}),
        ("gradients", {"zero": 0.02}),
        ("gradients", {"bad": 0.001}),
    ],
)
def test_a_planted_defect_is_flagged_and_nothing_else(unit, check, defect):
    expected = dict.fromkeys(CHECKS, "passed") | {check: "flagged"}
    assert verdicts(run_with(unit=unit, **defect)) == expected


def test_a_few_pixels_may_be_left_without_a_bound_but_no_images():
    assert verdicts(run_with({"any": 97}, unit=as_pixels))["unbounded"] == "passed"
    assert verdicts(run_with({"any": 97}, unit=rows_of))["unbounded"] == "flagged"


def test_who_is_ahead_without_a_bound_is_no_sign():
    numbers = {"any": 96, "square": 100}
    boundless = TRAITS | {"square": TRAITS["square"] | {"eps": 1.0}}
    assert verdicts(run_with(numbers, unit=as_pixels, traits=boundless))["no gradient"] == "passed"


def test_a_budget_without_any_gain_is_flagged_only_if_the_images_are_many():
    flat = {"pgd10": 10, "pgd50": 10, "fgsm": 5, "wide": 10, "square": 5}
    many, few = (run_with(flat, transfer=5, of=of) for of in (500, 20))
    assert verdicts(many)["larger budget"] == "flagged"
    assert verdicts(few)["larger budget"] == "not checked"
    assert "too few images" in next(f for f in findings(few) if f.check == "larger budget").sentence


def test_a_lead_of_a_few_images_is_no_sign():
    assert verdicts(run_with({"fgsm": 64, "square": 65}))["one step"] == "passed"


def test_a_lead_that_many_comparisons_make_doubtful_is_left_open():
    numbers = {"pgd10": 70, "pgd50": 50, "wide": 90}
    found = {f.check: f for f in findings(run_with(numbers, of=20, transfer=0))}
    assert found["more steps"].verdict == "passed"
    letters = {"pgd10": "x" * 6 + "." * 30, "pgd50": "." * 36, "wide": "x" * 36, "fgsm": "." * 36}
    run = run_of(*(rows_of(name, "a", text) for name, text in letters.items()), attacks=TRAITS)
    (open_one,) = [f for f in findings(run) if f.check == "more steps"]
    assert binomtest(6, 6, alternative="greater").pvalue == pytest.approx(1 / 64)
    assert open_one.verdict == "not checked"
    assert open_one.sentence.startswith("too few images to tell whether more steps do not fool")


def test_a_lead_on_every_image_that_is_a_trifle_is_no_sign():
    attacks = {
        name: outcome_of([n] * 50, [1000] * 50, "pixels")
        for name, n in {"weaker": 505, "far": 520, "stronger": 500}.items()
    }
    assert not not_ahead(attacks["weaker"], attacks["stronger"]).suspicious
    assert not_ahead(attacks["far"], attacks["stronger"]).suspicious
    assert not_ahead(attacks["weaker"], attacks["stronger"]).p == pytest.approx(0.5**50)


def outcome_of(fooled, right, unit, index=None):
    index = np.arange(len(fooled)) if index is None else np.array(index)
    return Outcome("one", "a", "a", Traits(), index, np.array(fooled), np.array(right), unit)


def outcome(letters):
    return outcome_of([letter == "x" for letter in letters], [True] * len(letters), "images")


def test_the_p_value_is_that_of_the_exact_test_on_images_that_differ():
    compared = not_ahead(outcome("xxxxx..x."), outcome("....xx.x."))
    assert compared.p == pytest.approx(binomtest(4, 5, alternative="greater").pvalue)
    assert not_ahead(outcome("x."), outcome("x.")).p == 1


def test_only_images_of_which_both_attacks_judge_something_are_compared():
    weaker = outcome_of([0, 1, 1, 0], [0, 1, 0, 1], "images", index=[3, 5, 7, 9])
    stronger = outcome_of([0, 0, 0, 0], [1, 1, 1, 0], "images", index=[4, 5, 7, 9])
    assert not_ahead(weaker, stronger).p == 0.5  # image 5 alone
    assert weaker.total == (1, 2)


def test_a_gain_is_counted_on_the_images_that_withstand_the_smaller_budget():
    compared = gains(outcome("xx" + "." * 100), outcome("xx" + "x" + "." * 99))
    assert compared.p == pytest.approx(binomtest(1, 100, 0.02, alternative="less").pvalue)
    assert not compared.suspicious


def test_an_honest_victim_is_seldom_flagged_by_chance():
    rng = np.random.default_rng(0)
    equal = ("fgsm", "pgd10", "pgd50", "square")
    alarms = 0
    for _ in range(150):
        letters = {name: "".join(rng.choice(["x", "."], 40)) for name in equal}
        run = run_of(*(rows_of(name, "a", text) for name, text in letters.items()), attacks=TRAITS)
        alarms += "flagged" in verdicts(run).values()
    assert alarms <= 0.05 * 150


def test_attacks_at_other_budgets_and_norms_are_not_compared():
    traits = {name: told | {"norm": "l2"} for name, told in TRAITS.items() if name == "fgsm"}
    run = run_with({"fgsm": 99}, traits=TRAITS | traits)
    assert verdicts(run)["one step"] == "not checked"


def test_balls_of_different_norms_are_not_nested():
    traits = TRAITS | {"wide": TRAITS["wide"] | {"norm": "l2"}}
    groups = [rows_of(name, "a", fooled(n)) for name, n in (("pgd10", 60), ("wide", 20))]
    run = run_of(*groups, attacks=traits)
    assert verdicts(run)["larger budget"] == "not checked"


def test_a_search_of_one_step_is_no_one_step_attack():
    traits = TRAITS | {"square": TRAITS["square"] | {"steps": 1}}
    found = verdicts(run_with({"square": 90}, traits=traits))
    assert (found["one step"], found["no gradient"]) == ("passed", "flagged")


def test_a_network_that_shares_its_weights_with_the_source_is_no_rival():
    run = run_with(transfer=95)
    assert verdicts(run)["no gradient"] == "flagged"
    run.facts["kin"] = {"b": ["a"]}
    assert verdicts(run)["no gradient"] == "passed"


def test_one_flaw_is_weighed_against_the_strongest_attack_of_its_budget():
    numbers = {"pgd10": 20, "pgd50": 62, "fgsm": 55}
    assert verdicts(run_with(numbers))["one step"] == "passed"


def test_a_run_that_does_not_tell_its_attacks_says_so():
    run = run_with()
    del run.facts["attacks"]
    section = masking_section(run)
    assert set(verdicts(run).values()) == {"not checked", "passed"}
    assert verdicts(run)["gradients"] == "passed"
    assert "does not tell what its attacks are" in section.note


def test_rows_without_gradient_columns_leave_that_check_open():
    run = run_of(rows_of("pgd10", "a", fooled(60)), attacks=TRAITS)
    assert verdicts(run)["gradients"] == "not checked"


def test_gradients_of_images_that_are_wrong_when_clean_do_not_count():
    def change(row):
        return row | {"zero_gradient": 1.0 if not row["clean_correct"] else 0.0}

    assert verdicts(run_with(change=change))["gradients"] == "passed"


def test_a_sentence_has_the_numbers_and_the_budget():
    found = next(f for f in findings(run_with({"any": 90})) if f.check == "unbounded")
    assert "any (linf 255/255, 10 steps) fools 90 of 100 images" in found.sentence
    assert found.advice


def test_budgets_are_written_as_the_field_does():
    assert str(Budget("linf", round(8 / 255, 9))) == "linf 8/255"
    assert str(Budget("l2", 0.5)) == "l2 0.5"


@pytest.fixture
def folder(classification_run, tmp_path):
    """A run in which an attack on another source beats the attacks on the victim itself."""
    unlisted = shutil.ignore_patterns("SHA256SUMS")  # the files are written anew
    shutil.copytree(classification_run, tmp_path, ignore=unlisted, dirs_exist_ok=True)
    run = run_with({"square": 90})
    rows = listed(run.results)
    write_rows(tmp_path / "rows.parquet", [row | {"stage": 1.0} for row in rows])
    write_measures(tmp_path / "metrics.csv", run.measures)
    facts = {"task": "classification", "title": "x", "attacks": TRAITS, "command": "python it"}
    (tmp_path / "run.json").write_text(json.dumps(facts))
    return tmp_path


def test_the_page_shows_flagged_findings_first_and_open(folder):
    page = Page(build_report(folder).read_text(encoding="utf-8"))
    assert "checks" in page.attributes("id")
    text = " ".join(" ".join(page.text).split())
    assert "1 flagged · 5 passed" in text
    assert text.index("flagged 1") < text.index("passed 5")


def test_the_files_hold_the_findings(folder):
    build_report(folder)
    found = read_findings(folder)
    assert found == findings(run_with({"square": 90}))
    assert isinstance(found[0], Finding)
    assert found[0].verdict == "flagged"
    (sentence,) = flagged_sentences(folder)
    assert sentence.startswith("a may hide its gradients: an attack without the victim's gradient")
    markdown = (folder / "masking.md").read_text()
    assert "python it" in markdown
    assert markdown.count("\n| ") == 1 + len(CHECKS)


def test_a_folder_without_checks_flags_nothing(tmp_path):
    assert flagged_sentences(tmp_path) == []
