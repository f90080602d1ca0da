"""What makes the adversarial batch: several attacks, a growing budget, and what is measured."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from project.attacks import FGSM, PGD, SSTA, Aimed, Attack, NearestWrongClass, StAdv
from project.callbacks import AdversarialBatches, Curriculum
from project.callbacks.training.adversarial_batches import all_of, mean_loss, share_wrong, worst_of
from project.callbacks.training.moved_samples import MovedSamples
from project.saliency import DataMasks
from project.threat_models import Linf
from project.training.robust import AdversarialLoss
from project.victims import Victim
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted
from tests.training.robust_scene import (
    IGNORED,
    QUIET,
    Batch,
    Recorder,
    fit,
    make_data,
    make_training,
    of_epoch,
)

pytestmark = [pytest.mark.filterwarnings(ignored) for ignored in IGNORED]

EPS = 8 / 255
both_tasks = pytest.mark.parametrize("task", ["classification", "segmentation"])


def attacks() -> dict[str, Attack]:
    return {
        "pgd": PGD(EPS, 4 / 255, steps=2),
        "l2": PGD(1.0, 0.5, steps=2, norm="l2"),
        "st": SSTA(steps=2),
    }


def candidates(task: str) -> tuple[nn.Module, Tensor, list[Tensor]]:
    """Return a victim, a target, and three noisy versions of its images."""
    images = eight_bit_images(6)
    victim = CurvedClassifier() if task == "classification" else CurvedSegmenter()
    target = predicted(victim, images)
    if task == "segmentation":
        target[0] = 255
        target[1, :9] = 255
    noise = torch.randn(3, *images.shape, generator=torch.Generator().manual_seed(1))
    return victim, target, [(images + 0.1 * part).clamp(0, 1) for part in noise]


@both_tasks
@pytest.mark.parametrize("harm", [mean_loss, share_wrong])
def test_each_image_gets_the_candidate_that_harms_it_most(task: str, harm: Any):
    victim, target, choice = candidates(task)
    found = worst_of(choice, victim.train(), target, harm)
    places = []
    for i, one in enumerate(target.split(1)):
        harms = []
        for images in choice:
            with torch.no_grad():
                logits = victim.eval()(images[i : i + 1])
            loss = F.cross_entropy(logits, one, reduction="none", ignore_index=255)
            wrong = (logits.argmax(1) != one).float()
            values = (loss if harm is mean_loss else wrong)[one != 255]
            harms.append(float(values.mean()) if len(values) else 0.0)
        places.append(harms.index(max(harms)))
        assert torch.equal(found[i], choice[places[-1]][i])
    assert len(set(places)) > 1


@both_tasks
def test_choice_of_one_image_does_not_depend_on_its_batch_mates(task: str):
    victim, target, choice = candidates(task)
    victim.double()
    choice = [images.double() for images in choice]
    together = worst_of(choice, victim, target, mean_loss)
    for i in range(len(target)):
        alone = worst_of([c[i : i + 1] for c in choice], victim, target[i : i + 1], mean_loss)
        assert torch.equal(alone[0], together[i])


def test_harm_is_a_mean_over_valid_pixels_and_0_without_any():
    victim, target, (images, *_) = candidates("segmentation")
    with torch.no_grad():
        logits = victim(images)
    expected = F.cross_entropy(logits[1:2], target[1:2], ignore_index=255)
    torch.testing.assert_close(mean_loss(logits, target)[1], expected)
    assert mean_loss(logits, target)[0] == share_wrong(logits, target)[0] == 0


def test_single_candidate_costs_no_forward_pass():
    _, target, choice = candidates("classification")
    assert worst_of(choice[:1], nn.Module(), target, mean_loss) is choice[0]


def test_mean_loss_over_a_repeated_batch_is_the_mean_over_attacks():
    victim, target, choice = candidates("segmentation")
    index = torch.arange(6)
    batch = all_of(choice, {"image": choice[0], "target": target, "index": index})
    assert {len(values) for values in batch.values()} == {18}
    assert batch["index"].tolist() == [*range(6)] * 3
    with torch.no_grad():
        loss = F.cross_entropy(victim(batch["adversarial"]), batch["target"], ignore_index=255)
        each = [F.cross_entropy(victim(images), target, ignore_index=255) for images in choice]
    torch.testing.assert_close(loss, torch.stack(each).mean())


def recorded(combine: Any, chosen: dict[str, Attack], **arguments: Any) -> list[Batch]:
    """Return the batches of a training of rate 0, in which the victim stays what it is."""
    training = make_training("classification", AdversarialLoss())
    training.learning_rate = 0.0
    training.victim.network[1].momentum = 0.0
    recorder = Recorder()
    callback = AdversarialBatches(chosen, combine=combine, **arguments)
    fit(training, make_data("classification"), [callback, recorder], max_epochs=3)
    return recorder.batches


def crafted(batch: Batch, chosen: dict[str, Attack], number: int) -> list[Tensor]:
    """Return what each attack makes of a batch; four batches are an epoch."""
    victim = make_training("classification", None).victim
    arguments = victim, batch["image"], batch["target"], batch["index"]
    return [of_epoch(attack, number // 4)(*arguments) for attack in chosen.values()]


def test_random_draws_one_attack_per_batch_and_all_of_them_in_time():
    chosen = attacks()
    drawn = []
    for number, batch in enumerate(recorded("random", chosen)):
        made = [
            torch.equal(batch["adversarial"], images) for images in crafted(batch, chosen, number)
        ]
        assert sum(made) == 1
        drawn.append(made.index(True))
    assert set(drawn) == {0, 1, 2}
    assert drawn[:4] != drawn[4:8] != drawn[8:12]


def test_average_trains_on_all_attacks_at_once():
    chosen = attacks()
    for number, batch in enumerate(recorded("average", chosen)[:5]):
        clean = {name: values[:4] for name, values in batch.items()}
        assert torch.equal(batch["image"], clean["image"].repeat(3, 1, 1, 1))
        assert torch.equal(batch["target"], clean["target"].repeat(3))
        assert torch.equal(batch["adversarial"], torch.cat(crafted(clean, chosen, number)))


def test_max_trains_on_the_greatest_loss_of_each_image():
    chosen = attacks()
    victim = make_training("classification", None).victim.eval()
    for number, batch in enumerate(recorded("max", chosen)[:5]):
        made = crafted(batch, chosen, number)
        with torch.no_grad():
            losses = [mean_loss(victim(images), batch["target"]) for images in made]
            found = mean_loss(victim(batch["adversarial"]), batch["target"])
        torch.testing.assert_close(found, torch.stack(losses).amax(0))


class Logged(Callback):
    """Keeps ``train/attack_strength`` and how far the images are from the clean ones."""

    def __init__(self) -> None:
        self.strengths: list[float] = []
        self.distances: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.strengths.append(float(trainer.callback_metrics["train/attack_strength"]))
        self.distances.append(distance(batch))

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Batch, *_: int
    ) -> None:
        assert distance(batch) == pytest.approx(EPS)


def distance(batch: Batch) -> float:
    return float((batch["adversarial"] - batch["image"]).abs().max())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_budget_grows_linearly_over_the_steps_and_validation_has_all_of_it(accumulate: int):
    logged = Logged()
    chosen = {"pgd": PGD(EPS, step_size=EPS, steps=1)}
    callback = AdversarialBatches(chosen, curriculum=Curriculum(start=0.25, share=0.75))
    fit(
        make_training("classification", AdversarialLoss()),
        make_data("classification"),
        [callback, logged],
        limit_val_batches=1.0,
        accumulate_grad_batches=accumulate,
        max_epochs=2,
    )
    progress = [(number // accumulate) * accumulate / 8 for number in range(8)]
    expected = [min(1.0, 0.25 + 0.75 * t / 0.75) for t in progress]
    assert logged.strengths == pytest.approx(expected)
    levels = [int(strength * 8 + 1e-6) / 255 for strength in expected]  # 8-bit images
    assert logged.distances == pytest.approx(levels, abs=1e-6)


def test_without_curriculum_the_strength_is_one():
    logged = Logged()
    callback = AdversarialBatches({"fgsm": FGSM(EPS)})
    fit(
        make_training("segmentation", AdversarialLoss()),
        make_data("segmentation"),
        [callback, logged],
    )
    assert set(logged.strengths) == {1}


def test_attack_that_cannot_grow_is_refused_before_training():
    recorder = Recorder()
    callback = AdversarialBatches({"stadv": StAdv()}, curriculum=Curriculum())
    with pytest.raises(ValueError, match="StAdv has no budget that can be scaled"):
        fit(
            make_training("classification", AdversarialLoss()),
            make_data("classification"),
            [recorder, callback],
        )
    assert not recorder.batches


@pytest.mark.parametrize(("start", "share"), [(0, 0.5), (1.1, 0.5), (0.5, 0), (0.5, float("nan"))])
def test_curriculum_outside_its_range_is_refused(start: float, share: float):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\]"):
        Curriculum(start, share)


def test_scaled_attack_has_a_part_of_the_budget_and_of_the_step():
    scaled = PGD(EPS, step_size=2 / 255).scaled(0.5)
    assert scaled.built().threat_model == Linf(EPS / 2)
    assert scaled.built().step_size == scaled.step_size == 1 / 255


@pytest.mark.parametrize("place", ["attacks", "validation"])
def test_targeted_attacks_are_refused_and_aimed_ones_are_not(place: str):
    both: dict[str, Any] = {"attacks": attacks(), "validation": attacks()}
    both[place] = {"pgd": PGD(targeted=True)}
    with pytest.raises(ValueError, match="lead away from the labels, got targeted ones: pgd"):
        AdversarialBatches(**both)
    both[place] = {"pgd": Aimed(PGD(targeted=True), NearestWrongClass())}
    AdversarialBatches(**both)


def test_training_without_attacks_or_with_an_unknown_combination_is_refused():
    with pytest.raises(ValueError, match="needs at least one attack"):
        AdversarialBatches({})
    with pytest.raises(ValueError, match="combine must be one of max, average, random, got 'mean'"):
        AdversarialBatches(attacks(), combine="mean")  # type: ignore[arg-type]


def test_a_loss_without_adversarial_images_and_the_images_without_a_loss_are_refused():
    data = make_data("classification")
    with pytest.raises(ValueError, match="AdversarialLoss needs adversarial images, got batches"):
        fit(make_training("classification", AdversarialLoss()), data, [])
    with pytest.raises(ValueError, match="need a loss that uses them, got none"):
        fit(make_training("classification", None), data, [AdversarialBatches(attacks())])


def test_maps_of_photos_are_refused_where_augmentation_moves_the_photos():
    callback = AdversarialBatches({"ssta": SSTA(DataMasks(), steps=1)})
    training = make_training("segmentation", AdversarialLoss())
    with pytest.raises(ValueError, match=r"got sample 'train_\d+' under augmentation. Set data"):
        fit(training, make_data("segmentation"), [callback])
    fit(training, make_data("segmentation", augment=None), [callback], max_epochs=1)


def test_moved_samples_tell_all_but_maps():
    data = make_data("classification")
    samples = data.train_samples
    moved = MovedSamples(samples)
    assert moved.names == samples.names
    assert moved.name(3) == samples.name(3)
    assert moved.label(3) == samples.label(3)
    assert torch.equal(moved.image(3), samples.image(3))


def worst_case(victim: nn.Module, data: list[Batch], chosen: list[Attack]) -> list[list[Tensor]]:
    """Return for each image its prediction under each attack."""
    found = []
    with torch.no_grad():
        for batch in data:
            made = [a(victim, batch["image"], batch["target"], batch["index"]) for a in chosen]
            found.append([victim(images).argmax(1) for images in made])
    return found


def fit_head(victim: Victim, data: list[Batch]) -> None:
    """Give the last layer the least-squares solution, so that many images are classified right."""
    body, head = victim.network[:-1], victim.network[-1]
    with torch.no_grad():
        features = torch.cat([body(victim.normalise(batch["image"])) for batch in data])
        classes = F.one_hot(torch.cat([batch["target"] for batch in data]), 6).float()
        head.weight.copy_(torch.linalg.lstsq(features, classes).solution.T)
        head.bias.zero_()


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_robust_accuracy_counts_images_that_every_attack_leaves_right(stage: str):
    training = make_training("classification", AdversarialLoss())
    data = make_data("classification", num_val=45, num_test=45, batch_size=8)
    # Hardly more than noise, which makes other images wrong with each seed.
    chosen: dict[str, Attack] = {f"{n}": PGD(0.25, 1e-6, steps=1, seed=n) for n in range(3)}
    trainer = Trainer(**QUIET, callbacks=[AdversarialBatches(attacks(), validation=chosen)])
    run = trainer.validate if stage == "validate" else trainer.test
    victim = training.victim.eval()
    batches = list(data.val_dataloader() if stage == "validate" else data.test_dataloader()[0])
    fit_head(victim, batches)
    (result,) = run(training, data, verbose=False)
    prefix = "val" if stage == "validate" else "test"
    right = robust = 0
    singles = torch.zeros(3)
    for batch, under in zip(
        batches, worst_case(victim, batches, list(chosen.values())), strict=True
    ):
        with torch.no_grad():
            right += int((victim(batch["image"]).argmax(1) == batch["target"]).sum())
        kept = torch.stack([prediction == batch["target"] for prediction in under])
        robust += int(kept.all(0).sum())
        singles += kept.sum(1)
    assert [len(batch["index"]) for batch in batches] == [8, 8, 8, 8, 8, 5]
    assert result[f"{prefix}/accuracy"] == pytest.approx(right / 45)
    assert result[f"{prefix}/robust_accuracy"] == pytest.approx(robust / 45)
    assert 0 < robust < min(singles) <= max(singles) < right
