"""An experiment that is killed again and again while it writes ends like an unbroken one."""

import random
import signal
from pathlib import Path

import pytest

from tests.experiment.doomed import experiment, killed_at
from tests.experiment.scene import results, stored, visible
from tests.processes import start, status

_KILLS = 20
_LONGEST = 150  # steps of writing that a run may take; an unbroken one takes some 350


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    experiment(folder)
    return folder


@pytest.mark.slow
def test_twenty_kills_change_nothing_in_the_end(tmp_path, unbroken):
    draw = random.Random(0)
    kills, rounds = 0, 0
    while kills < _KILLS:
        folder = tmp_path / str(rounds)
        rounds += 1
        while killed(folder, draw.randint(1, _LONGEST)):
            kills += 1
            left = visible(folder / "store")
            assert left.items() <= stored(unbroken / "store").items()
        assert results(folder) == results(unbroken)
        assert not (folder / "run/.unfinished").exists()
        assert visible(folder / "store") == stored(unbroken / "store")


def killed(folder: Path, instant: int) -> bool:
    """Run the experiment, and tell whether it was killed before its end."""
    ended = status(start(killed_at, folder, instant))
    assert ended in (0, -signal.SIGKILL)
    return ended != 0
