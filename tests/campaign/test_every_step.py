"""What was killed at any step of writing is, at its next use, what an unbroken one would have made.

The makers that are cheap; ``python -m tests.campaign`` kills the others at random.
"""

import os
import secrets
from pathlib import Path
from random import Random

import pytest
import torch

from project.saliency.cache import KeptMaps
from tests.campaign.doomed import Steps, forked
from tests.campaign.folders import content, differences
from tests.campaign.makers import Bright, fit, prepare_process
from tests.study.studies import ATTACKS, make_study

pytestmark = pytest.mark.slow


def saliency_maps() -> None:
    os.environ["MIRAGE_SALIENCY_CACHE"] = "maps"
    images = torch.linspace(0, 1, 2 * 3 * 4 * 4).view(2, 3, 4, 4)
    KeptMaps().maps(Bright(), images)


def study() -> None:
    secrets.token_urlsafe = lambda size=0: draws.randbytes(size).hex()
    secrets.token_hex = lambda size=0: draws.randbytes(size).hex()
    draws = Random(0)
    if not Path("study.sqlite").is_file():
        make_study(Path(), images=2, attacks=ATTACKS[:1], pages=1, checks=0)


def training() -> None:
    fit("plain", 1)


def killed(work, folder: Path, step: int, where: str) -> int:
    """Do the work up to a step, and return how many there were, -1 if it was killed."""
    told = folder.with_name("steps.txt")
    told.write_text("-1")

    def counted() -> None:
        prepare_process()
        steps = Steps(Path(), step, where).watch()
        work()
        told.write_text(str(steps.count))

    os.waitpid(forked(counted, folder, folder.with_name("said.txt")), 0)
    return int(told.read_text())


@pytest.mark.parametrize(("work", "every"), [(saliency_maps, 1), (study, 1), (training, 7)])
def test_what_was_killed_at_any_step_ends_as_the_unbroken_one(tmp_path, work, every):
    here = tmp_path / "here"
    here.mkdir()
    count = killed(work, here, 0, "before")
    assert count > 3, (tmp_path / "said.txt").read_text()
    wanted = content(here)
    assert wanted
    for where in ("before", "middle"):
        for step in range(1, count + 1, every):
            here.rename(tmp_path / f"{where}-{step}")
            here.mkdir()
            stopped = killed(work, here, step, where) < 0
            assert stopped or (where, step) == ("middle", count)  # nothing comes after the last
            assert killed(work, here, 0, "before") >= 0
            assert not differences(content(here), wanted), (where, step)
