"""Several runs may share a store at the same time."""

import pytest

from tests.experiment.doomed import experiment, other_experiment
from tests.experiment.scene import results, stored
from tests.processes import start, status


@pytest.mark.slow
def test_runs_on_one_store_at_once_end_as_if_each_were_alone(tmp_path):
    for work, name in ((experiment, "first"), (other_experiment, "other")):
        work(tmp_path / f"{name} alone", tmp_path / "alone")
    works = {"first": experiment, "second": experiment, "third": experiment}
    works["other"] = other_experiment
    running = [start(work, tmp_path / name, tmp_path / "shared") for name, work in works.items()]
    assert [status(process) for process in running] == [0] * len(running)
    for name in works:
        like = "other alone" if name == "other" else "first alone"
        assert results(tmp_path / name) == results(tmp_path / like)
    assert stored(tmp_path / "shared") == stored(tmp_path / "alone")
