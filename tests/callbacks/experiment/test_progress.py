"""Progress tells of the passes, and stored batches do not spoil when they will end."""

import math
import re

import pytest
import yaml

from project.callbacks import (
    AttackCallback,
    CostEstimate,
    PassLines,
    PassProgressBar,
    WorkStealing,
)
from project.callbacks.experiment.time_left import Pace, Share, told_duration
from project.cli.attack import experiment
from project.evaluation import CLEAN, Pass
from tests.experiment.scene import IMAGES, attacks, run, victims
from tests.experiment.test_processes import config
from tests.processes import ROOT
from tests.storage.damage import names

PGD, SLOW = Pass("pgd", "a"), Pass("slow", "a")
BATCHES = [[0, 1], [2, 3], [4]]


def pace(expected: dict[Pass, float] | None = None) -> Pace:
    """Return the pace of a clean pass, one that is stored in part, and one of attacks alone."""
    lacking = {CLEAN: [False] * 3, PGD: [False, True, True], SLOW: [True] * 3}
    return Pace({step: Share(BATCHES, lacks) for step, lacks in lacking.items()}, expected or {})


def test_nothing_is_promised_before_anything_is_known():
    assert math.isnan(pace().left_of_pass(CLEAN))
    assert math.isnan(pace().left_of_run(CLEAN, 0))


def test_stored_batches_do_not_spoil_the_time_of_attacks():
    measured = pace()
    measured.finished(CLEAN, 5, False, 5 * 0.1)
    measured.finished(PGD, 2, False, 2 * 0.5)
    measured.finished(PGD, 2, True, 2 * 10.0)
    assert measured.left_of_pass(PGD, 2) == pytest.approx(10)
    assert measured.left_of_pass(PGD, 0) == pytest.approx(2 * 0.5 + 3 * 10)
    assert measured.left_of_run(PGD, 2) == pytest.approx(10 + 5 * 10)  # of what attacks take here
    assert measured.left_of_run(SLOW, 3) == 0


def test_expectation_serves_until_a_pass_has_attacked():
    measured = pace({PGD: 4.0, SLOW: 30.0})
    measured.finished(CLEAN, 5, False, 5 * 0.1)
    assert measured.left_of_run(CLEAN, 3) == pytest.approx(2 * 0.1 + 3 * 4.1 + 5 * 30.1)
    measured.finished(PGD, 2, False, 2 * 0.5)
    assert measured.left_of_run(PGD, 1) == pytest.approx(3 * 4.5 + 5 * 30.5)
    measured.finished(PGD, 2, True, 2 * 10.0)
    assert measured.left_of_run(PGD, 2) == pytest.approx(10 + 5 * 30.5)


def test_durations_are_told_as_people_read_them():
    told = [told_duration(seconds) for seconds in (0.4, 59.6, 750, 11100, math.nan)]
    assert told == ["0:00", "1:00", "12:30", "3:05:00", "?"]


@pytest.fixture
def half_stored(tmp_path):
    """Return a folder whose store holds FGSM's images but for the last batch, and none of PGD's."""
    run(tmp_path, victims=victims(), attacks={"fgsm": attacks()["fgsm"]})
    for path in (tmp_path / "store").glob("*/*.zip"):
        if "00000010.png" in names(path):
            path.unlink()
    return tmp_path


@pytest.mark.parametrize(("more", "made"), [([], IMAGES), ([CostEstimate()], IMAGES - 4)])
def test_log_has_a_line_per_pass_that_tells_what_was_attacked(half_stored, capsys, more, made):
    capsys.readouterr()
    run(half_stored, victims=victims(), attacks=attacks(), more=[*more, PassLines()])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("pass ")]
    assert [line.split(":")[0] for line in lines] == [
        "pass 1/5, clean",
        "pass 2/5, pgd on a",
        "pass 3/5, pgd on b",
        "pass 4/5, fgsm on a",
        "pass 5/5, fgsm on b",
    ]
    assert all(re.search(rf": {IMAGES} images in \d+:\d\d", line) for line in lines)
    attacked = [re.search(r"(\d+) of them attacked at", line) for line in lines]
    of_fgsm = None if more else "3"  # the estimate has made the batch that was lacking
    assert [found and found[1] for found in attacked] == [
        None,
        str(made),
        str(made),
        of_fgsm,
        of_fgsm,
    ]
    assert lines[-1].endswith("run 0:00 left")


def test_bar_names_the_pass_and_tells_when_it_ends(half_stored, capsys):
    capsys.readouterr()
    run(half_stored, victims=victims(), attacks=attacks(), more=[CostEstimate(), PassProgressBar()])
    said = capsys.readouterr().out
    for place, step in enumerate(["clean", "pgd on a", "pgd on b", "fgsm on a", "fgsm on b"], 1):
        assert re.search(rf"pass {place}/5, {step}: .*3/3 \[.* images/s, 0:00 left, run", said)


def test_bar_of_a_refused_experiment_is_never_shown(half_stored, capsys):
    capsys.readouterr()
    only = [CostEstimate(only=True), PassProgressBar()]
    run(half_stored, victims=victims(), attacks=attacks(), more=only)
    assert "pass 1/5" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_clock_starts_after_what_may_attack_beforehand_and_before_the_passes_do(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    chosen = config("segmentation")
    del chosen["trainer"]["enable_progress_bar"]
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(chosen))
    stealing = ROOT / "configs/launch/stealing.yaml"
    built = experiment(["--config=experiment.yaml", f"--config={stealing}", "--run.folder=run"])
    order = [type(callback) for callback in built.trainer.callbacks]
    places = [order.index(kind) for kind in (WorkStealing, PassLines, AttackCallback)]
    assert places == sorted(places)
