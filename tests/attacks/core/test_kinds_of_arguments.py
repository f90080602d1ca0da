"""Wrong kinds of argument, wrong victims, labels and own results: told at once, by name."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from project.attacks import (
    APGD,
    FAB,
    FGSM,
    MIFGSM,
    PGD,
    SEA,
    SSTA,
    Aimed,
    Attack,
    AutoAttack,
    BestOf,
    Cascade,
    CrossEntropy,
    FixedClass,
    GradientAttack,
    GradientRecipe,
    Margin,
    Momentum,
    Perturbed,
    Refined,
    Square,
)
from project.core.errors import InputError
from project.threat_models import Linf
from tests.attacks.test_contract import ROWS, scene
from tests.models import eight_bit_images

WRONG = [
    (lambda: PGD(rules=Momentum()), r"PGD's rules must be a list .*Put it into a list: \[Momentum"),
    (lambda: PGD(rules=[Momentum]), r"Give instances: Momentum\(…\)"),
    (lambda: PGD(steps=2.5), "PGD's steps must be a whole number, got 2.5"),
    (lambda: PGD(steps=True), "whole number, got True"),
    (lambda: PGD(steps=0), "^steps must be at least 1, got 0.$"),
    (lambda: PGD(objective=Margin), r"got the class Margin. Give an instance: Margin\(…\)"),
    (lambda: PGD(eps="8/255"), "finite number, got '8/255'. Give the number itself"),
    (lambda: PGD(-0.1), "greater than 0, got -0.1"),
    (lambda: PGD(float("nan")), "finite number, got nan"),
    (lambda: PGD(float("inf")), "finite number, got inf"),
    (lambda: PGD(8), "got 8. For grey levels give 8/255"),
    (lambda: PGD(step_size=2), "step_size is a part .* got 2. For grey levels give 2/255"),
    (lambda: PGD(norm="L2"), "PGD's norm must be one of linf, l2, got 'L2'. Do you mean l2"),
    (lambda: PGD(norm="l2"), "PGD with norm l2 needs its own eps and step_size"),
    (lambda: PGD(1.5, norm="l2"), "needs its own step_size"),
    (lambda: AutoAttack(norm="l2"), "AutoAttack with norm l2 needs its own eps,"),
    (lambda: Square(8), "For grey levels give 8/255"),
    (lambda: SEA(8), "For grey levels give 8/255"),
    (lambda: FAB(eps=8), "For grey levels give 8/255"),
    (lambda: MIFGSM(steps=0), "^steps must be at least 1, got 0.$"),
    (lambda: SSTA(saliency="x"), "SSTA's saliency must be a Saliency, or a function, or None"),
    (lambda: Refined("PGD"), r"must be an Attack, got 'PGD'. Give an instance: PGD\(…\)"),
    (lambda: GradientAttack(8 / 255, CrossEntropy(), 0.01, 3), "must be a ThreatModel.*Linf"),
    (lambda: Cascade([FGSM(), PGD]), "Give instances: PGD"),
    (lambda: Aimed(PGD(targeted=True), FixedClass), "must be an Aim, got the class FixedClass"),
    (lambda: BestOf([FGSM(), PGD()], "lpips"), "BestOf's distance must be one of mse"),
    (lambda: APGD(phases=[(1.0,)]), "APGD's phases must be a list"),
    (lambda: Momentum("1"), "Momentum's decay must be a finite number"),
    (lambda: Linf("8"), "Linf's eps must be a finite number"),
]


@pytest.mark.parametrize(("make", "told"), WRONG, ids=[told[:40] for _, told in WRONG])
def test_a_wrong_kind_of_argument_is_refused_when_it_is_given(make, told):
    with pytest.raises(InputError, match=told):
        make()


def test_every_attack_of_the_ensemble_for_segmenters_is_scaled():
    assert SEA(0.1).scaled(0.5).best_of.attacks[0].eps == 0.05


def test_attacks_with_lists_can_be_hashed():
    assert len({row.attack for row in ROWS.values()}) == len(ROWS)


def test_an_own_recipe_without_a_norm_is_told_what_it_lacks():
    @dataclass(frozen=True)
    class Mine(GradientRecipe):
        eps: float = 0.1
        step_size: float = 0.05
        steps: int = 2

        def built(self):
            return self.with_parts(CrossEntropy(), random_start=False)

    with pytest.raises(InputError, match=r"Mine must have fields norm and eps.* none named norm"):
        Mine()


class Plain(nn.Module):
    """A victim that does not say how many classes it has."""

    def __init__(self, inner: nn.Module, channels: int = 4) -> None:
        super().__init__()
        self.inner = inner
        self.first = inner.first  # the layer that one row names
        self.channels = channels

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images)[:, : self.channels]


def plain(task: str, channels: int = 4) -> tuple[nn.Module, Tensor, Tensor]:
    victim, images, target = scene(task)
    return Plain(victim, channels), images, target


CASES = [(name, task) for name, row in ROWS.items() for task in row.tasks]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_labels_beyond_a_plain_victims_classes_are_refused(name, task):
    victim, images, target = plain(task)
    for label, told in ((-100, "got -100"), (4, "got .*4")):
        wrong = target.clone()
        wrong.view(-1)[-1] = label
        with pytest.raises(InputError, match=f"labels must lie in 0 … .*{told}"):
            ROWS[name].attack(victim, images, wrong)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_victim_with_one_logit_is_told_the_form_with_two(name, task):
    victim, images, target = plain(task, channels=1)
    with pytest.raises(InputError, match=r"two or more classes, got 1.*zeros_like\(z\), z\], 1\)"):
        ROWS[name].attack(victim, images, torch.zeros_like(target))


def test_a_victim_without_a_class_axis_is_told_it_too():
    class Flat(nn.Module):
        def forward(self, images):
            return images.mean((1, 2, 3))

    with pytest.raises(InputError, match=r"must return logits \(N, K\).*A binary victim"):
        FGSM()(Flat(), eight_bit_images(2), torch.zeros(2, dtype=torch.int64))


def test_what_is_no_tensor_of_logits_is_told():
    class Several(nn.Module):
        def __init__(self, answer) -> None:
            super().__init__()
            self.answer = answer

        def forward(self, images):
            return self.answer(images)

    target = torch.zeros(2, dtype=torch.int64)
    told = {
        "a list of 1": lambda images: [images],
        "a dictionary with logits": lambda images: {"logits": images},
        "a tuple of 2": lambda images: (images, images),
        "NoneType": lambda images: None,
    }
    for what, answer in told.items():
        with pytest.raises(InputError, match=f"one tensor of logits, got {what}"):
            PGD()(Several(answer), eight_bit_images(2), target)


BAD_TARGETS = {
    "float": lambda target: target.float(),
    "bool": lambda target: target > 1,
    "int32": lambda target: target.int(),
    "list": lambda target: target.tolist(),
    "one hot": lambda target: nn.functional.one_hot(target, 4),
    "too few": lambda target: target[:-1],
}


@pytest.mark.parametrize("change", BAD_TARGETS.values(), ids=BAD_TARGETS)
@pytest.mark.parametrize("targeted", [False, True])
def test_targets_of_another_kind_are_refused(change, targeted):
    victim, images, target = plain("classification")
    with pytest.raises(InputError, match="target must be int64 of shape"):
        PGD(targeted=targeted)(victim, images, change(target))


BAD_IMAGES = {
    "empty": (lambda images: images[:0], "N at least 1"),
    "8 bit": (lambda images: (images * 255).byte(), "Divide 8-bit images by 255"),
    "half": (lambda images: images.half(), "For half precision use autocast"),
    "one image": (lambda images: images[0], r"images\[None\]"),
    "grey": (lambda images: images[:, :1], "Repeat the channel"),
    "channels last": (lambda images: images.permute(0, 2, 3, 1), r"permute\(0, 3, 1, 2\)"),
    "array": (lambda images: images.numpy(), "must be a tensor"),
    "infinite": (lambda images: images / 0, "must lie in"),
    "negative": (lambda images: -images, "must lie in"),
}


@pytest.mark.parametrize(("change", "told"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_images_of_another_kind_are_refused(change, told):
    victim, images, target = plain("classification")
    with pytest.raises(InputError, match=told):
        PGD()(victim, change(images), target)


def test_ids_that_are_no_whole_numbers_are_refused():
    victim, images, target = plain("classification")
    for index in (torch.rand(4), torch.arange(3), [0, 1, 2, 3]):
        with pytest.raises(InputError, match="index must give one whole number per image"):
            PGD()(victim, images, target, index)


def test_places_that_differ_are_named():
    victim, images, target = plain("classification")
    with pytest.raises(InputError, match="on one device, got cpu and meta"):
        PGD()(victim, images, target.to("meta"))
    with pytest.raises(InputError, match=r"must be an nn\.Module"):
        PGD()(lambda images: images, images, target)


def test_void_pixels_are_no_labels_out_of_range():
    victim, images, target = plain("segmentation")
    target[:] = 255
    FGSM()(victim, images, target)
    Aimed(PGD(steps=1, targeted=True), FixedClass(2))(victim, images, target)


@dataclass(frozen=True)
class Own(Attack):
    """Somebody's own attack, which returns what it is told to."""

    fault: str = ""
    targeted: bool = False
    seed: int = 0

    def perturb(self, victim, images, target, index):
        found = Perturbed(
            images=images,
            float_images=images,
            perturbation=torch.zeros_like(images),
            steps=torch.zeros(len(images), dtype=torch.int64),
        )
        more = {
            "range": {"images": images + 1},
            "float range": {"float_images": images - 1},
            "shape": {"images": images[..., :-1]},
            "nan": {"images": images * torch.nan},
            "levels": {"images": images + 0.3 / 255},
            "steps": {"steps": torch.zeros(1, dtype=torch.int64)},
            "facts": {"facts": {"area": torch.zeros(1)}},
        }
        if self.fault == "no result":
            return images
        return replace(found, **more.get(self.fault, {}))


FAULTS = {
    "range": r"Own.perturb must return images in \[0, 1\], got \[1",
    "float range": r"must return float_images in \[0, 1\]",
    "shape": "must return images of the clean images' shape",
    "nan": r"got \[nan, nan\]",
    "levels": "8-bit values k/255.* 0.30 levels off",
    "steps": "must return steps with one entry per image, 4",
    "facts": "must return area with one entry per image",
    "no result": "must return a Perturbed, got a Tensor",
}


@pytest.mark.parametrize(("fault", "told"), FAULTS.items())
def test_what_no_attack_may_return_is_named(fault, told):
    victim, images, target = scene("classification")
    Own()(victim, images, target)
    for call in (Own(fault), Own(fault).run):
        with pytest.raises(InputError, match=told):
            call(victim, images, target)
