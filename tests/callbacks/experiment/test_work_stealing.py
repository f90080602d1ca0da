"""Who attacks a batch beforehand changes nothing, and each batch has one who does."""

import itertools

import lightning as L
import torch.distributed as dist

from project.callbacks import PassLines
from project.callbacks.experiment import work_stealing
from tests.experiment.scene import BATCHES, attacks, results, run, stored, victims


class Filling(L.Callback):
    """Fills the store though there is one process only."""

    def on_test_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
        if batch_idx == dataloader_idx == 0:
            work_stealing._fill(trainer)


def test_batches_whose_numbers_come_are_attacked_first_unless_they_are_stored(
    tmp_path, attacked, monkeypatch
):
    run(tmp_path / "dealt", victims=victims(), attacks=attacks())
    attacked.clear()
    for path in (tmp_path / "dealt/store").glob("PGD-*/00000000.*.zip"):
        kept = tmp_path / "stolen" / path.relative_to(tmp_path / "dealt")
        kept.parent.mkdir(parents=True, exist_ok=True)
        for name in (path.parent / "manifest.json", path):
            (kept.parent / name.name).write_bytes(name.read_bytes())
    numbers = [0, 2, 7, 2 * 2 * BATCHES, 1]  # one that is stored, two that are not, and the end
    monkeypatch.setattr(work_stealing, "_numbers", lambda: iter(numbers))
    run(tmp_path / "stolen", victims=victims(), attacks=attacks(), more=[Filling()])
    assert attacked[:3] == [("PGD", [8, 9, 10]), ("FGSM", [4, 5, 6, 7]), ("PGD", [4, 5, 6, 7])]
    assert len(attacked) == 2 * 2 * BATCHES - 2
    assert results(tmp_path / "stolen") == results(tmp_path / "dealt")
    assert stored(tmp_path / "stolen/store") == stored(tmp_path / "dealt/store")


def test_progress_tells_of_the_attacks_beforehand_and_not_of_them_again(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(work_stealing, "_numbers", itertools.count)
    run(tmp_path, victims=victims(), attacks=attacks(), more=[Filling(), PassLines()])
    said = capsys.readouterr()
    batches = 2 * 2 * BATCHES
    assert f"attacks of all passes: 100%|██████████| {batches}/{batches}" in said.err
    assert said.out.count("images in") == 5
    assert "attacked at" not in said.out


def test_each_number_comes_to_one_process_only(monkeypatch):
    group = dist.HashStore()
    monkeypatch.setattr(dist.distributed_c10d, "_get_default_store", lambda: group)
    for experiment in range(2):  # of the same processes, one after the other
        monkeypatch.setattr(work_stealing, "_FILLS", itertools.repeat(experiment))
        one, two = work_stealing._numbers(), work_stealing._numbers()
        assert [next(one), next(two), next(two), next(one)] == [0, 1, 2, 3]
