"""What a training leaves behind, and that leaving it behind changes nothing about the training."""

import json
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image
from torch import Tensor, nn

from project.attacks import FGSM
from project.callbacks import AdversarialBatches, LossSlices, TrainingFolder
from project.callbacks.training.loss_slices import loss_slices
from project.callbacks.training.training_folder import SampleFolder
from project.cli import train_main
from project.core.errors import InputError
from project.core.randomness import Draws
from project.data import ShapesData
from project.storage.checksums import listing
from project.storage.history import History
from project.training import ClassifierTraining, SegmenterTraining
from project.training.robust import AdversarialLoss
from project.victims import ClassificationVictim, SegmentationVictim
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty.*"),
]
EPS = 8 / 255
CONFIGS = Path(__file__).parents[3] / "configs" / "train"


def shapes(task: str) -> ShapesData:
    return ShapesData(task, size=16, num_train=12, num_val=10, batch_size=4)


def module(task: str) -> ClassifierTraining | SegmenterTraining:
    """A network with all that a careless look would disturb: BatchNorm, dropout, a frozen layer."""
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Dropout(0.2)]
    robust = AdversarialLoss()
    if task == "segmentation":
        network = nn.Sequential(*body, nn.Conv2d(8, 7, 1))
        return SegmenterTraining(SegmentationVictim(network, 7), robust=robust)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6)]
    return ClassifierTraining(ClassificationVictim(nn.Sequential(*body, *head), 6), robust=robust)


def fit(
    folder: Path,
    *watching: L.Callback,
    task: str = "classification",
    epochs: int = 2,
    resume: Path | None = None,
    **trainer,
) -> L.Trainer:
    L.seed_everything(0, verbose=False)
    callbacks = [AdversarialBatches({"fgsm": FGSM(EPS)}), *watching]
    found = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        callbacks=callbacks,
        **{"enable_checkpointing": False, "logger": False} | trainer,
    )
    found.fit(module(task), datamodule=shapes(task), ckpt_path=resume)
    return found


def dashboard(folder: Path) -> list[L.Callback]:
    return [TrainingFolder(str(folder), samples=3), LossSlices(samples=2, resolution=3)]


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_a_training_leaves_history_samples_slices_and_a_report(tmp_path, task, capsys):
    run = tmp_path / "run"
    fit(tmp_path, *dashboard(run), task=task)
    points = History.read(run / "history.csv").points
    score = "accuracy" if task == "classification" else "miou"
    steps = {point.step: point.epoch for point in points if point.metric == "train/loss"}
    assert steps == {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
    validated = [(p.epoch, p.step) for p in points if p.metric == f"val/robust_{score}"]
    assert validated == [(0, 2), (1, 5)]
    assert {"train/learning_rate", f"val/{score}"} <= {point.metric for point in points}
    assert sorted(path.name for path in run.glob("slices/*")) == [
        "epoch_00000.npz",
        "epoch_00001.npz",
    ]
    assert len(list(run.glob("samples/*/*/adversarial.png"))) == 2 * 3
    assert "Samples over the epochs" in (run / "report.html").read_text(encoding="utf-8")
    assert f"report: {run / 'report.html'}" in capsys.readouterr().out


class UsedRates(L.Callback):
    """Keeps the learning rate of every step of the optimiser."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_before_optimizer_step(
        self, trainer: L.Trainer, module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize(("accumulated", "steps"), [(1, 6), (2, 4)])
def test_the_logged_learning_rate_is_that_of_the_step(tmp_path, accumulated, steps):
    used = UsedRates()
    folder = TrainingFolder(str(tmp_path / "run"), samples=0)
    fit(tmp_path, used, folder, accumulate_grad_batches=accumulated)
    points = History.read(tmp_path / "run" / "history.csv").points
    logged = {p.step: p.value for p in points if p.metric == "train/learning_rate"}
    assert list(logged) == list(range(steps))
    assert list(logged.values()) == pytest.approx(used.rates)
    assert len(set(used.rates)) == steps


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_samples_are_the_same_images_each_time_with_what_the_victim_says_of_them(tmp_path):
    trainer = fit(tmp_path, TrainingFolder(str(tmp_path / "run"), samples=3))
    samples = shapes("classification").val_dataloader().dataset
    victim = trainer.lightning_module.victim.eval()
    for index in (0, 3, 6):
        first, last = (
            tmp_path / "run" / "samples" / f"epoch_{k:05d}" / f"{index:08d}" for k in (0, 1)
        )
        image = samples[index]["image"]
        expected = image.mul(255).round().permute(1, 2, 0).numpy()
        assert np.array_equal(pixels(first / "clean.png"), expected)
        assert np.array_equal(pixels(last / "clean.png"), expected)
        change = pixels(last / "adversarial.png") - expected
        assert 0 < np.abs(change).max() <= 8
        told = json.loads((last / "verdict.json").read_text())
        shown = torch.tensor(pixels(last / "adversarial.png")).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            answers = victim(torch.stack([image, shown])).argmax(1).tolist()
        assert [told["prediction_clean"], told["prediction_adversarial"]] == answers
        assert told["target"] == samples[index]["target"]


def test_answers_to_clean_and_to_adversarial_images_are_not_mixed_up(tmp_path):
    victim, clean, adversarial = (
        CurvedClassifier(),
        eight_bit_images(4),
        eight_bit_images(4, seed=5),
    )
    batch = {"image": clean, "adversarial": adversarial, "target": torch.arange(4)}
    batch |= {"index": torch.tensor([7, 8, 9, 10])}
    answers = predicted(victim, clean).tolist(), predicted(victim, adversarial).tolist()
    assert answers[0] != answers[1]
    SampleFolder(tmp_path, 3).keep(victim, batch, {8, 10})
    kept = sorted((tmp_path / "epoch_00003").iterdir())
    assert [int(folder.name) for folder in kept] == [8, 10]
    for folder, place in zip(kept, (1, 3), strict=True):
        told = json.loads((folder / "verdict.json").read_text())
        assert told == {
            "target": place,
            "prediction_clean": answers[0][place],
            "prediction_adversarial": answers[1][place],
        }


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_looking_changes_nothing_about_the_training(tmp_path, task):
    plain = fit(tmp_path, task=task).lightning_module.state_dict()
    watched = fit(tmp_path, *dashboard(tmp_path / "run"), task=task).lightning_module.state_dict()
    assert plain.keys() == watched.keys()
    assert all(torch.equal(plain[name], watched[name]) for name in plain)


def test_a_resumed_run_has_the_history_of_one_that_was_never_cut_off(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    fit(tmp_path, TrainingFolder(str(whole)), epochs=3)
    keeping = {"enable_checkpointing": True}
    checkpoint = ModelCheckpoint(tmp_path / "kept", filename="{epoch}", save_top_k=-1)
    fit(tmp_path, TrainingFolder(str(cut)), checkpoint, epochs=3, max_steps=3, **keeping)
    saved = tmp_path / "kept" / "epoch=0.ckpt"
    after = History.read(cut / "history.csv")
    after.add(4, 1, {"train/loss": 99.0, "never/seen_again": 1.0})  # after the checkpoint
    with listing(cut, ["history.csv"]):
        after.write(cut / "history.csv")
    (cut / "samples" / "epoch_00009").mkdir()
    again = ModelCheckpoint(tmp_path / "kept", filename="{epoch}", save_top_k=-1)
    fit(tmp_path, TrainingFolder(str(cut)), again, epochs=3, resume=saved, **keeping)
    named = {
        folder: {(p.step, p.epoch, p.metric) for p in History.read(folder / "history.csv").points}
        for folder in (whole, cut)
    }
    assert named[cut] == named[whole]
    assert sorted(path.name for path in (cut / "samples").iterdir()) == [
        f"epoch_{k:05d}" for k in range(3)
    ]


def test_a_run_resumed_in_mid_epoch_logs_the_epoch_it_is_in(tmp_path):
    keeping = {"enable_checkpointing": True}
    kept = ModelCheckpoint(tmp_path / "kept", "{step}", every_n_train_steps=4, save_top_k=-1)
    for going_on in ({"max_steps": 4}, {"resume": tmp_path / "kept" / "step=4.ckpt"}):
        fit(tmp_path, TrainingFolder(str(tmp_path / "run")), kept, **going_on, **keeping)
    points = History.read(tmp_path / "run" / "history.csv").points
    epochs = {point.step: point.epoch for point in points if point.metric == "train/loss"}
    assert epochs == {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1}


def test_a_new_run_replaces_what_it_finds(tmp_path):
    fit(tmp_path, *dashboard(tmp_path / "run"), epochs=2)
    fit(tmp_path, *dashboard(tmp_path / "run"), epochs=1)
    points = History.read(tmp_path / "run" / "history.csv").points
    assert {point.epoch for point in points} == {0}
    kept = {path.name for path in tmp_path.glob("run/s*/*")}
    assert kept == {"epoch_00000", "epoch_00000.npz"}


def test_samples_are_kept_as_seldom_as_asked(tmp_path):
    watching = [
        TrainingFolder(str(tmp_path / "run"), every_n_epochs=2),
        LossSlices(every_n_epochs=2, resolution=3),
    ]
    fit(tmp_path, *watching, epochs=3)
    kept = {path.stem for path in tmp_path.glob("run/s*/*")}
    assert kept == {"epoch_00000", "epoch_00002"}


def test_slices_need_a_folder(tmp_path):
    with pytest.raises(InputError, match="beside a TrainingFolder"):
        fit(tmp_path, LossSlices())


@pytest.mark.parametrize(
    "arguments", [{"resolution": 4}, {"samples": 0}, {"eps": 0.0}, {"every_n_epochs": 0}]
)
def test_a_slice_that_cannot_be_drawn_is_refused(arguments):
    with pytest.raises(InputError, match="resolution odd"):
        LossSlices(**arguments)


def planes(victim: nn.Module, images: Tensor, target: Tensor, places: slice = slice(None)):
    draws = Draws(torch.arange(len(images))[places], 0, "test")
    return loss_slices(victim, images[places], target[places], draws, eps=EPS, resolution=5)


class Linear(nn.Module):
    """Two classes whose lead is the sum of all values times ±1."""

    def __init__(self, signs: Tensor) -> None:
        super().__init__()
        self.signs = nn.Parameter(signs)

    def forward(self, images: Tensor) -> Tensor:
        lead = (images * self.signs).flatten(1).sum(1)
        return torch.stack([lead, torch.zeros_like(lead)], 1)


def test_the_slice_of_a_linear_victim_is_what_the_formula_says():
    images = eight_bit_images(2).double()
    signs = (torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(3)) - 0.5).sign()
    target = torch.tensor([0, 1])
    found = planes(Linear(signs.double()), images, target)
    offsets = torch.linspace(-EPS, EPS, 5).double()
    for k, label in enumerate(target):
        # Uphill is against the signs for class 0, with them for class 1.
        steepest = signs * (1 if label else -1)
        random = (Draws(torch.tensor([k]), 0, "test").uniform(3, 12, 16)[0] - 0.5).sign()
        for i, a in enumerate(offsets):
            for j, b in enumerate(offsets):
                lead = ((images[k] + a * steepest + b * random) * signs).sum()
                expected = torch.nn.functional.softplus(lead if label else -lead)
                assert found[k, i, j].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_slice_depends_on_its_image_alone():
    victim, images = CurvedClassifier(), eight_bit_images(4)
    target = predicted(victim, images)
    alone = planes(victim, images, target, slice(2, 3))
    torch.testing.assert_close(planes(victim, images, target)[2:3], alone, rtol=1e-5, atol=1e-6)


def test_an_image_of_void_alone_has_a_flat_slice_at_zero():
    victim, images = CurvedSegmenter(), eight_bit_images(2)
    target = predicted(victim, images)
    target[0] = 255
    found = planes(victim, images, target)
    assert torch.equal(found[0], torch.zeros(5, 5))
    assert found[1].min() > 0


def test_the_victim_stays_as_it_is_also_inside_inference_mode():
    victim, images = CurvedClassifier().train(), eight_bit_images(2)
    before = {name: value.clone() for name, value in victim.state_dict().items()}
    flags = [part.training for part in victim.modules()]
    state = torch.get_rng_state()
    with torch.inference_mode():
        planes(victim, images, torch.tensor([0, 1]))
    assert [part.training for part in victim.modules()] == flags
    assert all(parameter.requires_grad for parameter in victim.parameters())
    assert all(parameter.grad is None for parameter in victim.parameters())
    assert all(torch.equal(before[name], value) for name, value in victim.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_overlay_goes_on_top_of_a_training_with_a_folder_of_its_own(capsys):
    names = ("shapes_resnet10t", "robust/pgd", "dashboard")
    configs = [f"--config={CONFIGS / name}.yaml" for name in names]
    with pytest.raises(SystemExit):
        train_main(["fit", *configs, "--trainer.callbacks.folder=runs/train/x", "--print_config"])
    built = yaml.safe_load(capsys.readouterr().out)["trainer"]["callbacks"]
    named = {one["class_path"].rpartition(".")[2]: one["init_args"] for one in built}
    assert list(named) == ["AdversarialBatches", "ModelCheckpoint", "LossSlices", "TrainingFolder"]
    assert named["TrainingFolder"]["folder"] == "runs/train/x"
