"""What is where in the store is in memory for one pass at a time, however many there are."""

import itertools

import lightning as L
import pytest

from project.callbacks import AttackCallback
from project.callbacks.common import first_callback
from project.callbacks.experiment import work_stealing
from tests.callbacks.experiment.test_work_stealing import Filling
from tests.experiment.scene import attacks, results, run, victims


class Watching(L.Callback):
    """Notes after each batch of which passes anything is known."""

    def __init__(self) -> None:
        self.known: list[set[str]] = []
        self.stores = {}

    def on_test_batch_end(self, trainer, *_args, **_kwargs) -> None:
        attacking = first_callback(trainer, AttackCallback)
        attacking.saving.wait()
        self.stores = attacking.stores
        self.known.append(self.now())

    def now(self) -> set[str]:
        return {str(step) for step, store in self.stores.items() if store._shards._places}


@pytest.mark.parametrize("beforehand", [False, True])
def test_only_the_pass_that_runs_knows_what_is_where(tmp_path, monkeypatch, beforehand):
    monkeypatch.setattr(work_stealing, "_numbers", itertools.count)
    found = []
    for more in ([Filling()] if beforehand else [], []):  # attacked, then stored
        watching = Watching()
        run(tmp_path, victims=victims(), attacks=attacks(), more=[*more, watching])
        assert set(map(len, watching.known)) <= {0, 1}
        assert set().union(*watching.known) == {str(step) for step in watching.stores}
        assert watching.now() == set()
        found.append(results(tmp_path))
    assert found[0] == found[1]
