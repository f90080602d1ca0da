"""Writing beside the next attack: in order, one at a time, and no failure is lost."""

import threading

import pytest

from project.storage.files import WriteError
from project.storage.saving import Saving
from tests.storage.test_store import open_store, sample


class Slow:
    """A store that writes when it is told to."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.saved: list[list[int]] = []

    def save(self, indices, samples, origins):
        assert self.may.wait(60)
        self.saved.append(indices)


def test_a_batch_is_written_while_the_caller_goes_on(tmp_path):
    saving, slow = Saving(), Slow()
    saving.add(slow, [1, 2], [], None)
    assert slow.saved == []  # and the caller is here
    saving.settle(slow, [3])  # of another batch: nothing to wait for
    saving.settle(Slow(), [1])
    slow.may.set()
    saving.settle(slow, [2, 3])
    assert slow.saved == [[1, 2]]


def test_the_next_batch_waits_for_the_one_before_it():
    saving, slow = Saving(), Slow()
    saving.add(slow, [1], [], None)
    brought = threading.Thread(target=lambda: saving.add(slow, [2], [], None))
    brought.start()
    brought.join(0.2)
    assert brought.is_alive()
    slow.may.set()
    brought.join(60)
    saving.wait()
    assert slow.saved == [[1], [2]]


def test_what_cannot_be_written_stops_whoever_brings_the_next():
    class Full(Slow):
        def save(self, indices, samples, origins):
            raise WriteError("no space")

    saving = Saving()
    saving.add(Full(), [1], [], None)
    with pytest.raises(WriteError, match="no space"):
        saving.add(Full(), [2], [], None)
    saving.wait()  # told once; the second was not begun
    saving.add(Full(), [1], [], None)
    with pytest.raises(WriteError, match="no space"):
        saving.wait()


def test_what_is_waited_for_is_in_the_store(tmp_path):
    saving, store = Saving(), open_store(tmp_path)
    saving.add(store, [1, 2], [sample(1), sample(2)], ["one", "two"])
    saving.wait()
    saving.wait()
    assert store.load([1, 2], ["one", "two"]) is not None
