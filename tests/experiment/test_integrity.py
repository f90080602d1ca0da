"""Numbers come from every sample once, whatever mode Lightning runs in, or not at all."""

import json
import os
from contextlib import nullcontext

import lightning as L
import pytest
import torch

from project.callbacks import AttackCallback
from project.data import ImageListData, ShapesData
from project.evaluation import TransferEvaluation
from project.metrics import LedgerError
from project.storage.rows import read_rows
from tests.experiment.scene import (
    IMAGES,
    attacks,
    photos,
    results,
    run,
    shapes,
    stored,
    victim,
    victims,
)


class Repeating(ShapesData):
    """Serves sample 3 twice in the last pass, as a padding sampler does."""

    served = ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 3])

    def test_dataloader(self):
        *others, last = super().test_dataloader()
        batches = [list(batch) for batch in self.served]
        changed = torch.utils.data.DataLoader(
            last.dataset, batch_sampler=batches, collate_fn=last.collate_fn
        )
        return [*others, changed]


class Dropping(Repeating):
    """Leaves out samples 8 to 10, as ``drop_last`` does."""

    served = ([0, 1, 2, 3], [4, 5, 6, 7])


@pytest.mark.parametrize(
    ("data", "fault"), [(Repeating, "repeated 3"), (Dropping, "missing 8, 9, 10")]
)
def test_run_whose_ledger_is_not_exact_reports_nothing(tmp_path, data, fault):
    run(tmp_path, victims=victims(), attacks=attacks())
    wrong = data(size=32, num_test=IMAGES, batch_size=4)
    with pytest.raises(LedgerError, match=f"exactly once, got .* evaluations: {fault}"):
        run(tmp_path, data=wrong, victims=victims(), attacks=attacks())
    for name in ("rows.parquet", "metrics.csv", "run.json", "report.html"):
        assert not (tmp_path / "run" / name).exists()


def test_lightning_may_not_limit_the_batches_in_silence(tmp_path):
    with pytest.raises(LedgerError, match="missing 4, 5, 6"):
        run(tmp_path, victims=victims(), attacks=attacks(), limit_test_batches=1)


def photo_data(folder, spoil: bool):
    """Write the shapes as photos, sample 2 of which may be truncated."""
    photos(folder)
    if spoil:
        (path,) = folder.rglob("photo_2.png")
        path.write_bytes(path.read_bytes()[:-200])
    return ImageListData(str(folder), batch_size=4, on_error="skip" if spoil else "raise")


def test_truncated_photo_is_left_out_named_and_counted(tmp_path):
    experiment = {"victims": {"a": victim()}, "attacks": attacks()}
    run(tmp_path / "whole", data=photo_data(tmp_path / "good", spoil=False), **experiment)
    notice = f"skipped 1 of {IMAGES} samples that cannot be used: .*photo_2.png"
    with pytest.warns(UserWarning, match=notice):
        run(tmp_path / "part", data=photo_data(tmp_path / "bad", spoil=True), **experiment)

    whole, part = (
        {
            (row["attack"], row["index"]): row["name"]
            for row in read_rows(tmp_path / name / "run/rows.parquet").to_pylist()
        }
        for name in ("whole", "part")
    )
    assert part == {key: name for key, name in whole.items() if name != "photo_2"}
    assert len(part) == 2 * (IMAGES - 1)
    facts = json.loads((tmp_path / "part/run/run.json").read_text())
    assert facts["images"] == IMAGES - 1
    told = facts["notices"][0]
    assert told.startswith(f"skipped 1 of {IMAGES} samples")
    assert told in (tmp_path / "part/run/report.html").read_text()


def test_truncated_photo_stops_the_run_unless_told_otherwise(tmp_path, attacked):
    data = photo_data(tmp_path / "bad", spoil=True)
    data.on_error = "raise"
    with pytest.raises(ValueError, match=r"(?s)1 of 11 samples.*photo_2.png.*on_error skip"):
        run(tmp_path, data=data, victims={"a": victim()}, attacks=attacks())
    assert attacked == []
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_inference_mode_changes_nothing(tmp_path, monkeypatch, task):
    modes = []
    step = TransferEvaluation.test_step

    def watched(self, *arguments):
        modes.append(torch.is_inference_mode_enabled())
        return step(self, *arguments)

    monkeypatch.setattr(TransferEvaluation, "test_step", watched)
    for inference_mode in (True, False):
        folder = tmp_path / str(inference_mode)
        modes.clear()
        experiment = {"victims": victims(task), "attacks": attacks()}
        run(folder, data=shapes(task), inference_mode=inference_mode, **experiment)
        assert set(modes) == {inference_mode}
    assert stored(tmp_path / "True/store") == stored(tmp_path / "False/store")
    assert results(tmp_path / "True") == results(tmp_path / "False")


def test_victims_are_afterwards_as_they_were(tmp_path):
    judged = victims()
    judged["a"].train()
    judged["b"].network[1].bias.requires_grad_(False)
    before = {name: one.fingerprint() for name, one in judged.items()}
    run(tmp_path, victims=judged, attacks=attacks())
    assert {name: one.fingerprint() for name, one in judged.items()} == before
    assert judged["b"].network[1].weight.requires_grad
    assert not judged["b"].network[1].bias.requires_grad
    assert all(value.grad is None for one in judged.values() for value in one.parameters())


def test_threads_are_as_many_as_asked_for_or_as_the_machine_has_cores(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    evaluation, data = TransferEvaluation(victims(), []), shapes()
    trainer = L.Trainer(accelerator="cpu", devices=1, logger=False, default_root_dir=tmp_path)
    trainer.datamodule = data
    for threads in (None, 3):
        callback = AttackCallback(attacks(), store=str(tmp_path), threads=threads)
        callback.setup(trainer, evaluation, "test")
    assert chosen == [len(os.sched_getaffinity(0)), 3]


@pytest.mark.parametrize("broken", [False, True])
def test_threads_are_afterwards_as_many_as_before(tmp_path, broken):
    class Watch(L.Callback):
        def on_test_start(self, trainer, pl_module):
            seen.append(torch.get_num_threads())
            if broken:
                raise OSError("broken on purpose")

    seen = []
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(OSError, match="on purpose") if broken else nullcontext():
            run(tmp_path, victims=victims(), attacks=attacks(), more=[Watch()])
        assert (seen, torch.get_num_threads()) == ([1], 3)
    finally:
        torch.set_num_threads(before)
