"""A checkpoint is the old one or the new one, and what is none is told so."""

import errno
import os
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import AsyncCheckpointIO

from project.cli.base import MirageCLI
from project.core.errors import InputError
from project.storage.files import WriteError
from project.training import Training
from project.training.checkpoint_files import CheckpointFiles

pytestmark = [
    # Lightning calls what jsonargparse has renamed
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
]
CHECKPOINT = {"state_dict": {"weight": torch.arange(1000.0)}}
VICTIM = (
    "{class_path: TimmVictim, init_args: {architecture: resnet10t, num_classes: 6, "
    "model_args: {channels: [8, 8, 8, 8], stem_width: 8}}}"
)


@pytest.fixture
def files() -> CheckpointFiles:
    return CheckpointFiles()


@pytest.fixture
def written(tmp_path: Path, files: CheckpointFiles) -> Path:
    path = tmp_path / "last.ckpt"
    files.save_checkpoint(CHECKPOINT, path)
    return path


def made_from(*arguments: str) -> Trainer:
    """Return the trainer of a command line."""
    command = [
        "--data=ShapesData",
        "--model=ClassifierTraining",
        f"--model.victim={VICTIM}",
        "--trainer.accelerator=cpu",
        "--trainer.logger=false",
        *arguments,
    ]
    return MirageCLI(Training, subclass_mode_model=True, args=command, run=False).trainer


@pytest.mark.parametrize(
    ("plugins", "kind"),
    [
        ([], CheckpointFiles),
        (["--trainer.plugins=lightning.pytorch.plugins.DoublePrecision"], CheckpointFiles),
        (["--trainer.plugins=lightning.pytorch.plugins.AsyncCheckpointIO"], AsyncCheckpointIO),
    ],
)
def test_a_training_writes_them_whole_unless_told_how_to_write_them(plugins: list[str], kind: type):
    assert type(made_from(*plugins).strategy.checkpoint_io) is kind


def test_a_full_disk_leaves_the_old_checkpoint_alone_and_names_it(
    tmp_path: Path, files: CheckpointFiles, written: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = written.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"could not write .*last.ckpt: No space left.*make room"):
        files.save_checkpoint({"state_dict": {}}, written)
    assert written.read_bytes() == before
    assert list(tmp_path.iterdir()) == [written]


def test_what_a_killed_writer_has_left_is_removed(
    tmp_path: Path, files: CheckpointFiles, written: Path
):
    litter = tmp_path / ".last.ckpt.abc.part"
    litter.touch()
    os.utime(litter, (0, 0))
    files.save_checkpoint(CHECKPOINT, written)
    assert list(tmp_path.iterdir()) == [written]


@pytest.mark.parametrize(
    "where", ["{folder}/a/b.ckpt", "file://{folder}/b.ckpt", "memory://b.ckpt"]
)
def test_what_is_written_is_read_wherever_it_lies(
    where: str, tmp_path: Path, files: CheckpointFiles
):
    path = where.format(folder=tmp_path)
    files.save_checkpoint(CHECKPOINT, path)
    loaded = files.load_checkpoint(path)
    assert torch.equal(loaded["state_dict"]["weight"], CHECKPOINT["state_dict"]["weight"])
    assert len(list(tmp_path.rglob("*.ckpt"))) == (not where.startswith("memory"))


@pytest.mark.parametrize("content", ["nothing", "text", "a part", "other weights"])
def test_a_file_that_is_no_checkpoint_is_named_with_what_to_do(
    content: str, files: CheckpointFiles, written: Path
):
    whole = written.read_bytes()
    cut = {"nothing": b"", "text": b"# Mirage\n", "a part": whole[: len(whole) // 2]}
    if content in cut:
        written.write_bytes(cut[content])
    else:
        torch.save(CHECKPOINT["state_dict"], written)
    with pytest.raises(InputError, match=r"whole file .* got .*last.ckpt \(.+\)\. Name another"):
        files.load_checkpoint(written)


def test_a_checkpoint_that_is_not_there_is_still_not_there(tmp_path: Path, files: CheckpointFiles):
    with pytest.raises(FileNotFoundError, match=r"none\.ckpt"):
        files.load_checkpoint(tmp_path / "none.ckpt")
