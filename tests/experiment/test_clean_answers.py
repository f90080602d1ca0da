"""A run asks victims about clean images only where no run before has, and finds the same."""

import pytest

from project.evaluation import transfer
from project.storage.clean_answers import CleanAnswers
from project.storage.files import WriteError
from tests.experiment.scene import (
    BATCHES,
    attacks,
    results,
    run,
    shapes,
    stored,
    victim,
    victims,
)

JUDGED = 2 * 2 * BATCHES  # batches of adversarial images, of two attacks and two sources


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """Return a list that grows with each batch that a victim is asked for a verdict on."""
    batches: list[int] = []
    ask = transfer.answers_of

    def counted(logits, target):
        batches.append(len(target))
        return ask(logits, target)

    monkeypatch.setattr(transfer, "answers_of", counted)
    return batches


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_a_second_run_does_not_ask_about_clean_images(tmp_path, asked, task):
    run(tmp_path, data=shapes(task), victims=victims(task), attacks=attacks())
    before, files = results(tmp_path), stored(tmp_path / "store")
    assert len(asked) == 2 * (BATCHES + JUDGED)
    asked.clear()
    run(tmp_path, data=shapes(task), victims=victims(task), attacks=attacks())
    assert len(asked) == 2 * JUDGED
    assert results(tmp_path) == before
    assert stored(tmp_path / "store") == files


def test_other_attacks_know_the_answers_and_a_new_victim_is_asked(tmp_path, asked):
    run(tmp_path, victims={"a": victim(seed=1)}, attacks=attacks())
    asked.clear()
    fgsm = {"fgsm": attacks()["fgsm"]}
    run(tmp_path, victims=victims(), attacks=fgsm, sources=["a"])
    assert len(asked) == BATCHES + 2 * BATCHES


def test_another_batch_size_is_computed_by_itself(tmp_path, asked):
    run(tmp_path, victims={"a": victim()}, attacks=attacks())
    asked.clear()
    run(tmp_path, victims={"a": victim()}, attacks=attacks(), data=shapes(batch_size=11))
    assert len(asked) == 1 + 2


def test_damaged_answers_are_computed_anew_to_the_same_rows(tmp_path):
    run(tmp_path, victims={"a": victim()}, attacks=attacks())
    before, files = results(tmp_path), stored(tmp_path / "store")
    for name in (name for name in files if name.startswith("clean-")):
        (tmp_path / "store" / name).write_bytes(b"PK no")
    with pytest.warns(UserWarning, match="computed anew"):
        run(tmp_path, victims={"a": victim()}, attacks=attacks())
    assert results(tmp_path) == before
    assert stored(tmp_path / "store") == files


def test_a_victim_that_nothing_tells_from_another_is_asked_each_time(tmp_path, asked):
    def experiment() -> None:
        judge = victim(seed=2)
        judge.told = lambda: None  # no name tells it
        run(tmp_path, victims={"a": victim(), "b": judge}, attacks=attacks(), sources=["a"])

    experiment()
    assert len({name.split("/")[0] for name in stored(tmp_path / "store") if "clean" in name}) == 1
    asked.clear()
    experiment()
    assert len(asked) == BATCHES + 2 * 2 * BATCHES


def test_a_store_that_cannot_be_written_is_no_reason_to_end(tmp_path, monkeypatch):
    run(tmp_path, victims={"a": victim()}, attacks=attacks())
    before = results(tmp_path)
    for path in (tmp_path / "store").glob("clean-*/*"):
        path.unlink()

    def full(*_) -> None:
        raise WriteError("could not write it: Read-only file system")

    monkeypatch.setattr(CleanAnswers, "save", full)
    again = run(tmp_path, victims={"a": victim()}, attacks=attacks())
    assert results(tmp_path) == before
    (told,) = (one for one in again.notices if "not kept" in one)
    assert "Read-only file system" in told
