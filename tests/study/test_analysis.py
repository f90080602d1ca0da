import csv
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from project.core.errors import InputError
from project.storage.rows import read_rows
from project.study.__main__ import main
from project.study.analysis import analysed
from project.study.answers import Judgement, answers, measured, write_answers
from project.study.create import open_or_make
from project.study.database import Database
from project.study.findings import write_findings
from project.study.judging import Judging
from project.study.raters import consent, find, invite
from project.study.screening import screened
from project.study.settings import Settings
from tests.study.studies import SOURCE, Clock, agreed, judge_all, make_run, make_study

PGD, CLEAN = ("attack", "pgd"), ("clean", "")
OBVIOUS, IDENTICAL = ("obvious", ""), ("identical", "")


def said(rater, *verdicts, seconds=4.0):
    """Answers by (panel, image, modified), one to a page."""
    return [
        Judgement(rater, place, image, f"photo {image}", *panel, 1, modified, seconds)
        for place, (panel, image, modified) in enumerate(verdicts)
    ]


def good(rater, *verdicts):
    return said(rater, (OBVIOUS, 9, True), (IDENTICAL, 8, False), *verdicts)


def settings(**given):
    return Settings(**{"attacks": ("pgd", "ssta"), "source": SOURCE, "candidates": 2} | given)


def test_who_misses_checks_is_rejected_and_so_is_who_saw_none():
    found = [
        *good("a", (PGD, 0, True)),
        *said("b", (OBVIOUS, 9, False), (IDENTICAL, 8, False), (PGD, 0, False)),
        *said("c", (OBVIOUS, 9, None), (OBVIOUS, 7, True), (PGD, 0, False)),
        *said("d", (PGD, 0, False)),
        *said("e", *[(OBVIOUS, 9, True)] * 3, (IDENTICAL, 8, True)),
    ]
    told = {one.rater: one[1:] for one in screened(found, has_checks=True)}
    assert told == {
        "a": (2, 2, True),
        "b": (1, 2, False),
        "c": (1, 2, False),
        "d": (0, 0, False),
        "e": (3, 4, True),
    }
    assert all(one.accepted for one in screened(said("d", (PGD, 0, True)), has_checks=False))


def test_rejected_raters_checks_and_missed_pages_are_in_no_number():
    found = [
        *good("a", (PGD, 0, True), (PGD, 1, False), (CLEAN, 2, False), (PGD, 3, None)),
        *said("b", (OBVIOUS, 9, False), (PGD, 0, False), (PGD, 1, None)),
    ]
    told = analysed(settings(), found, {})
    assert [(one.name, one.unmodified, one.total) for one in told.shares] == [
        ("pgd", 1, 2),
        ("clean", 1, 1),
    ]
    assert (told.missed, told.judgements) == (1, (1, 1))


def test_the_interval_over_raters_is_wider_where_raters_differ():
    alike = [a for r in range(12) for a in good(f"{r}", *[(PGD, k, k % 2 == 0) for k in range(8)])]
    apart = [a for r in range(12) for a in good(f"{r}", *[(PGD, k, r % 2 == 0) for k in range(8)])]
    (same,), (differ,) = (analysed(settings(), found, {}).shares for found in (alike, apart))
    assert same.by_wilson == differ.by_wilson
    assert same.by_raters.value == 0.5
    assert np.isnan(same.by_raters[1:]).all()  # a point would look like certainty
    low, high = differ.by_wilson
    assert differ.by_raters.high - differ.by_raters.low > 1.5 * (high - low)


@pytest.mark.parametrize("modified", [True, False])
def test_raters_who_all_agree_have_no_interval_of_a_single_point(tmp_path, modified):
    found = [a for r in range(4) for a in good(f"{r}", (PGD, 0, modified), (CLEAN, 1, False))]
    told = analysed(settings(), found, {})
    assert all(np.isnan(share.by_raters[1:]).all() for share in told.shares)
    assert all(low < high for low, high in (share.by_wilson for share in told.shares))
    _, path = write_findings(tmp_path / "study", told)
    text = path.read_text()
    assert "nan" not in text.lower()
    assert "take Wilson's" in text


def test_an_infinite_psnr_is_not_averaged():
    facts = {("pgd", 0): {"psnr": math.inf}, ("pgd", 1): {"psnr": 40.0}}
    (share,) = analysed(settings(), good("a", (PGD, 0, True), (PGD, 1, True)), facts).shares
    assert share.means == {"psnr": 40.0}


def test_wilsons_interval_is_that_of_statsmodels():
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    found = [a for r in range(5) for a in good(f"{r}", *[(PGD, k, k < 2) for k in range(9)])]
    (share,) = analysed(settings(), found, {}).shares
    expected = proportion.proportion_confint(share.unmodified, share.total, method="wilson")
    assert share.by_wilson == pytest.approx(expected)
    assert share.by_raters.value == pytest.approx(7 / 9)


def test_sensitivity_of_same_or_different_is_against_the_clean_controls():
    verdicts = [(PGD, k, k < 3) for k in range(4)] + [(CLEAN, k, k == 5) for k in range(4, 8)]
    found = [a for r in range(3) for a in good(f"{r}", *verdicts)]
    pgd, clean = analysed(settings(), found, {}).shares
    z = 0.6744897501960817  # of three quarters
    assert pgd.dprime.value == pytest.approx(2 * z)
    assert math.isnan(clean.dprime.value)


def test_sensitivity_of_a_forced_choice_is_that_of_its_share():
    found = [a for r in range(3) for a in said(f"{r}", *[(PGD, k, k < 3) for k in range(4)])]
    (pgd,) = analysed(settings(design="2afc", checks=0), found, {}).shares
    assert pgd.dprime.value == pytest.approx(math.sqrt(2) * 0.6744897501960817)


def test_images_that_fool_are_counted_apart():
    facts = {("pgd", k): {"fooled": k < 2, "lpips_alex": k / 10} for k in range(4)}
    found = good("a", *[(PGD, k, k == 0) for k in range(4)], (CLEAN, 5, False))
    pgd, clean = analysed(settings(), found, facts).shares
    assert (pgd.fooling, pgd.fooling_unmodified) == (2, 1)
    assert (clean.fooling, clean.means) == (None, {})
    assert pgd.means == pytest.approx({"lpips_alex": 0.15})


def test_metrics_are_correlated_with_what_people_saw_over_pictures():
    rng = np.random.default_rng(0)
    facts = {("pgd", k): {"lpips_alex": rng.random(), "psnr": math.inf} for k in range(6)}
    verdicts = rng.random((5, 6)) < np.linspace(0, 1, 6)
    found = [
        a
        for r in range(5)
        for a in good(f"{r}", *[(PGD, k, bool(verdicts[r, k])) for k in range(6)])
    ]
    (told,) = analysed(settings(), found, facts).correlations
    expected = spearmanr(verdicts.mean(0), [facts["pgd", k]["lpips_alex"] for k in range(6)])
    assert told == ("lpips_alex", pytest.approx(expected.statistic), 6)


def test_a_study_without_an_accepted_answer_says_so():
    with pytest.raises(InputError, match="got none of 1 raters"):
        analysed(settings(), said("a", (PGD, 0, True)), {})


def test_answers_are_read_as_they_were_given(tmp_path):
    database = make_study(tmp_path, design="2afc")
    [(rater, _)] = agreed(database)
    judge_all(database, rater, lambda panel: panel.kind == "obvious" or panel.attack == "pgd", 7.0)
    found = answers(database)
    assert len(found) == 10
    assert {one.seconds for one in found} == {7.0}
    assert all(one.modified == (one.attack == "pgd" or one.kind == "obvious") for one in found)
    assert {one.slot for one in found} == {0, 1}
    assert [one.place for one in found] == list(range(10))


@pytest.fixture
def studied(tmp_path):
    """A run, its study, and three raters: two see what pgd does, one is careless."""
    folder = make_run(tmp_path)
    database = open_or_make(folder, "study", {})
    for careless, token in enumerate(invite(database, 3)):
        rater = find(database, token).id
        consent(database, rater)
        judge_all(
            database,
            rater,
            lambda panel, careless=careless: (
                careless < 2 and (panel.attack == "pgd" or panel.kind == "obvious")
            ),
        )
    return folder, database


def test_exported_answers_carry_what_the_run_measured(studied):
    folder, database = studied
    found, facts = answers(database), measured(database)
    csv_path, parquet = write_answers(folder / "study", found, {found[0].rater}, facts)
    rows = pq.read_table(parquet).to_pylist()
    assert len(rows) == len(found)
    for row in rows:
        own = row["kind"] == "attack"
        expected = facts[row["attack"], row["image"]] if own else {}
        assert row["lpips_alex"] == expected.get("lpips_alex")
        assert row["fooled"] == expected.get("fooled")
        assert row["accepted"] == (row["rater"] == found[0].rater)
    with csv_path.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["name"] for row in read] == [row["name"] for row in rows]
    assert {row["modified"] for row in read} == {"true", "false"}


def test_what_was_measured_is_of_the_pictures_that_were_judged(studied):
    folder, database = studied
    table = read_rows(folder / "rows.parquet").to_pylist()
    rows = {(row["attack"], row["index"]): row for row in table}
    before = measured(database)
    assert before.keys() == rows.keys()
    for key, facts in before.items():
        assert facts == {name: rows[key][name] for name in facts}
        assert {"fooled", "success", "lpips_alex", "psnr"} <= facts.keys()
    make_run(folder / "again", images=3)  # the run is made again, with other images
    (folder / "again/rows.parquet").replace(folder / "rows.parquet")
    assert measured(Database(database.path)) == before


@pytest.mark.parametrize("minimum", ["-0.1", "75", "nan"])
@pytest.mark.parametrize("command", ["analyse", "export"])
def test_a_minimum_that_is_no_share_is_refused(studied, command, minimum):
    with pytest.raises(SystemExit, match="share of the attention checks, 0 … 1, got"):
        main([command, str(studied[0]), f"--minimum={minimum}"])


def test_findings_are_written_as_numbers_and_as_tables(studied):
    folder, database = studied
    facts = measured(database)
    numbers, tables = write_findings(
        folder / "study", analysed(database.settings, answers(database), facts)
    )
    with numbers.open(newline="") as file:
        lines = {(row["target"], row["metric"]): row for row in csv.DictReader(file)}
    assert float(lines["pgd", "unmodified_wilson"]["value"]) == 0
    assert float(lines["ssta", "unmodified_raters"]["value"]) == 1
    assert lines["clean", "dprime"]["value"] == ""
    assert float(lines["all", "fleiss_kappa"]["value"]) == 1
    assert float(lines["all", "spearman_lpips_alex"]["value"]) > 0.7
    assert sum(row["metric"] == "accepted" for row in lines.values()) == 3
    text = tables.read_text()
    assert "Are the images on the right the same as the left?" in text
    assert "| raters rejected | 1 |" in text
    assert "| ssta | 100.0 % (" in text


def test_one_rater_is_enough_for_numbers_without_intervals(tmp_path):
    database = make_study(tmp_path)
    [(rater, _)] = agreed(database)
    judge_all(database, rater, lambda panel: panel.modified)
    numbers, tables = write_findings(
        tmp_path / "study", analysed(database.settings, answers(database), {})
    )
    assert "nan" not in numbers.read_text() + tables.read_text()


def test_pages_that_ran_out_of_time_are_exported_without_a_judgement(tmp_path):
    database = make_study(tmp_path, checks=0)
    [(rater, _)] = agreed(database)
    clock = Clock()
    judging = Judging(database, clock)
    while judging.current(rater):
        clock.now += 500
    assert {one.modified for one in answers(database)} == {None}
