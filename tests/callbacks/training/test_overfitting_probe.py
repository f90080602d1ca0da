"""The probe sees a collapse and nothing else, disturbs nothing, and acts as it was told."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn

from project.attacks import FGSM, PGD, Attack
from project.callbacks import AdversarialBatches, CollapseRule, OverfittingProbe
from project.callbacks.training.held_out import HeldOut
from project.data import ShapesData
from project.victims import ClassificationVictim, SegmentationVictim
from tests.training.resumed import checkpoints, data, trainer, training, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty.*"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed.*"),
]


def fires(*probes: tuple[float, float], rule: CollapseRule | None = None) -> list[bool]:
    rule = rule or CollapseRule()
    return [rule(robust, training) for robust, training in probes]


def test_a_collapse_is_a_loss_of_robustness_that_the_training_attack_does_not_see():
    assert fires((0.3, 0.35), (0.4, 0.45), (0.1, 0.8)) == [False, False, True]


def test_a_collapse_is_told_once_and_again_only_after_a_recovery():
    probes = [(0.4, 0.4), (0.1, 0.8), (0.0, 0.9), (0.25, 0.7), (0.1, 0.9)]
    assert fires(*probes) == [False, True, False, False, False]
    assert fires(*probes[:3], (0.35, 0.4), (0.1, 0.9)) == [False, True, False, False, True]


def test_accuracies_that_fall_together_are_no_collapse():
    assert not any(fires((0.4, 0.45), (0.2, 0.25), (0.0, 0.05)))


def test_a_training_attack_that_was_always_weaker_is_no_collapse():
    assert not any(fires((0.2, 0.6), (0.3, 0.7), (0.25, 0.7)))


def test_a_slow_collapse_is_one_too():
    assert fires(*[(0.5 - 0.05 * k, 0.5 + 0.02 * k) for k in range(7)])[-2:] == [True, False]


def test_a_rule_goes_on_from_its_state():
    first, second = CollapseRule(), CollapseRule()
    fires((0.4, 0.4), rule=first)
    second.load_state_dict(first.state_dict())
    assert fires((0.1, 0.8), rule=second) == [True]


def collapsing(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let probes find a collapse, at the number ``at``, whatever the victim."""
    found: list[float] = []

    def accuracy(self: HeldOut, *arguments: Any) -> float:
        number, training = divmod(len(found), 2)
        found.append(0.9 if training else 0.5 if number + 1 < at else 0.0)
        return found[-1]

    monkeypatch.setattr(HeldOut, "accuracy", accuracy)


def probe(**arguments: Any) -> OverfittingProbe:
    return OverfittingProbe(PGD(eps=8 / 255, step_size=2 / 255, steps=3), 2, 6, **arguments)


STRONGER = {"pgd2": PGD(eps=8 / 255, step_size=4 / 255, steps=2)}


def fitted(*callbacks: Callback, path: Path | None = None, **settings: Any) -> Any:
    module, run = training(), trainer(*callbacks, **settings)
    run.fit(module, data(), ckpt_path=path)
    return run, weights(module)


def attacks_of(run: Any) -> AdversarialBatches:
    (found,) = [callback for callback in run.callbacks if isinstance(callback, AdversarialBatches)]
    return found


def test_a_collapse_is_said_in_one_sentence_and_training_goes_on(monkeypatch: pytest.MonkeyPatch):
    collapsing(monkeypatch, at=2)
    with pytest.warns(UserWarning, match="at step 4: 0% of .* is right under PGD, though 90%"):
        run, found = fitted(probe())
    assert run.global_step == 6
    assert all(torch.equal(found[name], value) for name, value in fitted()[1].items())


def test_a_collapse_stops_the_training_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch):
    collapsing(monkeypatch, at=2)
    with pytest.warns(UserWarning, match="Training stops"):
        run, _ = fitted(probe(on_collapse="stop"))
    assert run.global_step == 4


def test_after_a_collapse_training_falls_back_and_validation_keeps_its_attack(
    monkeypatch: pytest.MonkeyPatch,
):
    collapsing(monkeypatch, at=2)
    with pytest.warns(UserWarning, match="goes on with pgd2 instead"):
        run, found = fitted(probe(on_collapse="fall_back", fallback=STRONGER))
    assert attacks_of(run).attacks is STRONGER
    assert [attack.steps for attack in attacks_of(run)._judges] == [1]
    assert any(not torch.equal(found[name], value) for name, value in fitted()[1].items())


@pytest.mark.parametrize("step", [3, 4, 5])
def test_a_resumed_run_has_fallen_back_too(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def falling() -> OverfittingProbe:
        return probe(on_collapse="fall_back", fallback=STRONGER)

    collapsing(monkeypatch, at=2)
    with pytest.warns(UserWarning, match="step 4"):
        _, unbroken = fitted(falling(), checkpoints(tmp_path / "a"))
    collapsing(monkeypatch, at=1)  # the probe at step 4, if it is still to come
    path = tmp_path / "a" / f"{step}.ckpt"
    if step < 4:
        with pytest.warns(UserWarning, match="step 4"):
            run, resumed = fitted(falling(), checkpoints(tmp_path / "b"), path=path)
    else:
        run, resumed = fitted(falling(), checkpoints(tmp_path / "b"), path=path)
    assert attacks_of(run).attacks.keys() == {"pgd2"}
    assert all(torch.equal(resumed[name], value) for name, value in unbroken.items())


def everything(module: nn.Module) -> dict[str, Any]:
    """Return all that a probe could disturb, as plain values."""
    return {
        "state": {name: value.tolist() for name, value in module.state_dict().items()},
        "gradients": [p.grad is None or p.grad.tolist() for p in module.parameters()],
        "trainable": [p.requires_grad for p in module.parameters()],
        "modes": [part.training for part in module.modules()],
        "torch": torch.get_rng_state().tolist(),
        "numpy": repr(np.random.get_state()),
        "python": random.getstate(),
    }


class Guard(Callback):
    """Compare what two of them see at the end of a batch, one before the probe and one behind."""

    def __init__(self, first: "Guard | None" = None) -> None:
        self.first = first
        self.seen: list[dict[str, Any]] = []

    def on_train_batch_end(self, trainer: Any, module: nn.Module, *arguments: Any) -> None:
        self.seen.append(everything(module))
        if self.first is not None:
            assert self.seen == self.first.seen


def test_a_probe_leaves_weights_statistics_gradients_modes_and_generators_alone():
    guard = Guard()
    watching = probe()
    run, _ = fitted(guard, watching, Guard(guard), accumulate_grad_batches=2)
    assert len(guard.seen) == 6
    assert watching.state_dict()["last"] == run.global_step == 4


def test_a_probe_comes_once_per_optimiser_step_and_not_once_per_batch(
    monkeypatch: pytest.MonkeyPatch,
):
    steps: list[int] = []

    def accuracy(self: HeldOut, trainer: Any, *arguments: Any) -> float:
        steps.append(trainer.global_step)
        return 0.5

    monkeypatch.setattr(HeldOut, "accuracy", accuracy)
    fitted(probe(), accumulate_grad_batches=2)
    assert steps == [2, 2, 4, 4]  # each with the strong and the training's attack


class Probes(Callback):
    """Take down the robust accuracy of each probe."""

    def __init__(self) -> None:
        self.values: dict[int, float] = {}

    def on_train_batch_end(self, trainer: Any, module: nn.Module, *arguments: Any) -> None:
        if trainer.global_step % 2 == 0:
            metrics = trainer.callback_metrics
            names = ("probe/robust_accuracy", "probe/training_attack_accuracy", "probe/gap")
            robust, own, gap = (float(metrics[name]) for name in names)
            assert gap == pytest.approx(own - robust, abs=1e-6)
            self.values[trainer.global_step] = robust


def test_probes_are_logged_at_once_however_rare_the_training_logs(tmp_path: Path):
    logger, probes = CSVLogger(tmp_path, name="", version=""), Probes()
    module, run = training(), trainer(probe(), probes, log_every_n_steps=3)
    run.loggers = [logger]
    run.fit(module, data())
    logged = {
        int(row["step"]): float(row["probe/robust_accuracy"])
        for row in rows_of(logger)
        if row["probe/gap"]
    }
    assert logged == pytest.approx(probes.values, abs=1e-6)


@pytest.mark.filterwarnings("ignore:Catastrophic overfitting:UserWarning")
def test_the_step_of_a_collapse_is_logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    collapsing(monkeypatch, at=2)
    logger, run = CSVLogger(tmp_path, name="", version=""), trainer(probe(), log_every_n_steps=3)
    run.loggers = [logger]
    run.fit(training(), data())
    assert [row["step"] for row in rows_of(logger) if row["probe/collapse"]] == ["4"]


def rows_of(logger: CSVLogger) -> list[dict[str, str]]:
    logger.save()
    lines = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    return [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]


def by_hand(victim: nn.Module, shapes: ShapesData, positions: list[int], attack: Attack) -> float:
    """Attack one image after another and count valid elements."""
    right = valid = 0
    for place in positions:
        sample = shapes.samples[place]
        image, target, index = (sample[name][None] for name in ("image", "target", "index"))
        with torch.no_grad():
            predicted = victim.eval()(attack(victim, image, target, index)).argmax(1)
        counted = target != 255 if target.ndim > 1 else torch.ones_like(target).bool()
        right += int(((predicted == target) & counted).sum())
        valid += int(counted.sum())
    return right / valid


def shapes_for(task: str) -> ShapesData:
    shapes = ShapesData(task, size=16, num_val=10, batch_size=3)
    shapes.setup("fit")
    return shapes


def test_a_segmenter_is_judged_by_its_valid_pixels_on_an_evenly_spaced_slice():
    shapes = shapes_for("segmentation")
    network = nn.Sequential(nn.Conv2d(3, 7, 3, padding=1))
    victim, attack = SegmentationVictim(network, 7), PGD(eps=4 / 255, step_size=2 / 255, steps=2)
    assert any((shapes.samples[place]["target"] == 255).any() for place in (0, 2, 5, 7))
    found = HeldOut(shapes, 4, 0, 1).accuracy(trainer(), victim, [attack])
    assert found == pytest.approx(by_hand(victim, shapes, [0, 2, 5, 7], attack), abs=1e-6)


def test_of_several_attacks_each_image_meets_the_worst():
    shapes, module = shapes_for("classification"), training()
    attacks = [PGD(eps=16 / 255, step_size=4 / 255, steps=4, seed=seed) for seed in (0, 1)]
    held_out = HeldOut(shapes, 10, 0, 1)
    single = [held_out.accuracy(trainer(), module.victim, [attack]) for attack in attacks]
    both = held_out.accuracy(trainer(), module.victim, attacks)
    assert both <= min(single)
    assert single[0] == pytest.approx(by_hand(module.victim, shapes, list(range(10)), attacks[0]))


def test_processes_share_the_slice_without_a_rest():
    shapes = shapes_for("classification")
    shares = [HeldOut(shapes, 7, rank, 3).batches for rank in range(3)]
    indices = [index for share in shares for batch in share for index in batch["index"].tolist()]
    assert sorted(indices) == [0, 1, 2, 4, 5, 7, 8]
    assert not HeldOut(shapes, 1, 2, 3).batches  # and none is no error


class Masked(nn.Module):
    """Right at the ends of the ball around grey, and wrong in between: what one step never sees."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.masking = False

    def forward(self, images: Tensor) -> Tensor:
        moved = (images.mean((1, 2, 3)) - 128 / 255) / self.eps
        margin = (2 * torch.pi * moved + 0.3).cos() + 0.2 if self.masking else 0.5 - 0.4 * moved
        return torch.stack([margin, torch.zeros_like(margin)], 1)


def test_a_victim_that_fools_one_step_is_found_out_by_many():
    eps = 16 / 255
    network, held_out = Masked(eps), HeldOut(shapes_for("classification"), 1, 0, 1)
    grey = torch.full((2, 3, 4, 4), 128 / 255)
    held_out.batches = [{"image": grey, "target": torch.zeros(2).long(), "index": torch.arange(2)}]
    victim, rule = ClassificationVictim(network, 2, mean=(0, 0, 0), std=(1, 1, 1)), CollapseRule()
    strong, own = PGD(eps=eps, step_size=eps / 8, steps=10, random_start=False), FGSM(eps=eps)

    def probed() -> tuple[float, float]:
        robust, training = (held_out.accuracy(trainer(), victim, [a]) for a in (strong, own))
        return robust, training

    assert probed() == (1, 1)
    assert not rule(*probed())
    network.masking = True
    assert probed() == (0, 1)
    assert rule(*probed())


def test_all_processes_return_the_accuracy_of_the_whole_slice(monkeypatch: pytest.MonkeyPatch):
    shapes, victim, run = shapes_for("classification"), training().victim, trainer()
    attack = [PGD(eps=1 / 255, step_size=1 / 255, steps=1)]  # so that some stay right
    expected = HeldOut(shapes, 10, 0, 1).accuracy(run, victim, attack)
    shares = [HeldOut(shapes, 10, rank, 3) for rank in range(3)]
    counts: list[Tensor] = []
    monkeypatch.setattr(run.strategy, "reduce", lambda x, reduce_op: counts.append(x) or x)
    alone = {share.accuracy(run, victim, attack) for share in shares}
    assert len(alone) > 1  # each would decide for itself
    monkeypatch.setattr(run.strategy, "reduce", lambda x, reduce_op: sum(counts))
    together = {share.accuracy(run, victim, attack) for share in shares}
    assert together == {expected}


def test_the_probe_needs_adversarial_batches_to_watch():
    run = trainer(probe())
    run.callbacks = [callback for callback in run.callbacks if callback is not attacks_of(run)]
    with pytest.raises(ValueError, match="Add it, or leave the probe out"):
        run.fit(training(), data())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_collapse": "fall_back"}, "'fall_back' with 0 attacks"),
        ({"on_collapse": "stop", "fallback": STRONGER}, "'stop' with 1 attacks"),
        ({"on_collapse": "pray"}, "one of warn, stop, fall_back, got 'pray'"),
    ],
)
def test_a_consequence_that_cannot_be_is_refused(arguments: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        probe(**arguments)


def test_a_targeted_probe_is_refused():
    with pytest.raises(ValueError, match="needs an untargeted attack"):
        OverfittingProbe(PGD(eps=8 / 255, step_size=2 / 255, steps=3, targeted=True))
