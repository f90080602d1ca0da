"""AutoAttack and its parts: who is attacked by whom, and what comes of it."""

from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from project.attacks import (
    APGD,
    DLR,
    FAB,
    FGSM,
    PGD,
    Attack,
    AutoAttack,
    Cascade,
    DLRTowards,
    Square,
    TargetedAPGD,
)
from project.attacks.core.result import Perturbed
from project.attacks.gradient.objectives.objective import Step
from project.core.errors import InputError
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

CONFIGS = Path(__file__).parents[3] / "configs/attacks"
EPS = 1 / 255


@pytest.fixture
def scene():
    victim, images = CurvedClassifier().eval().double(), eight_bit_images(24).double()
    target = predicted(victim, images)
    target[3] = (target[3] + 1) % 4  # wrong from the start
    return victim, images, target


class Noted(Attack):
    """Adds a level to chosen samples, and notes whom it was given."""

    targeted = False
    seed = 0

    def __init__(self, fools: set[int]) -> None:
        self.fools = fools
        self.given: list[int] = []

    def perturb(self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor):
        self.given = index.tolist()
        hit = torch.tensor([sample in self.fools for sample in self.given])
        changed = images + hit.view(-1, 1, 1, 1) / 255
        steps = torch.full((len(images),), 5)
        return Perturbed(changed, changed, changed - images, steps)


class Brittle(nn.Module):
    """Right on the clean image, wrong on any brighter one."""

    num_classes = 2

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.clean = images.mean()

    def forward(self, images: Tensor) -> Tensor:
        brighter = images.mean((1, 2, 3)) - self.clean - 1e-4
        return torch.stack([-brighter, brighter], 1)


def test_each_attack_gets_only_those_who_resist_and_rows_tell_who_fooled_whom():
    images = torch.full((5, 3, 4, 4), 0.4)
    target, index = torch.tensor([0, 0, 1, 0, 0]), torch.tensor([10, 11, 12, 13, 14])
    attacks = [Noted({11}), Noted(set()), Noted({10, 11, 14})]
    result = Cascade(attacks).run(Brittle(images), images, target, index)
    assert [attack.given for attack in attacks] == [[10, 11, 13, 14], [10, 13, 14], [10, 13, 14]]
    assert result.facts["member"].tolist() == [2, 0, -1, -1, 2]
    assert result.success.tolist() == [True, True, True, False, True]
    assert result.steps.tolist() == [5, 5, 0, 5, 5]
    assert torch.equal(result.images[2:4], images[2:4])


def test_nobody_is_attacked_where_nobody_resists():
    images, silent = torch.full((2, 3, 4, 4), 0.4), Noted({0})
    target = torch.ones(2, dtype=torch.int64)
    Cascade([silent, silent])(Brittle(images), images, target)
    assert silent.given == []


def test_segmenter_gets_for_each_image_the_first_that_fools_most_of_it():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(6)
    target = predicted(victim, images)
    target[:, :3] = 255
    target[4] = 255
    attacks = [FGSM(4 / 255), PGD(4 / 255, steps=3), PGD(4 / 255, 1 / 255, steps=6)]
    shares = torch.stack([attack.run(victim, images, target).fooled for attack in attacks])
    result = Cascade(attacks).run(victim, images, target)
    assert torch.equal(result.fooled, shares.amax(0))
    labelled = [0, 1, 2, 3, 5]
    assert result.facts["member"][labelled].tolist() == shares.argmax(0)[labelled].tolist()
    assert torch.equal(result.images[4], images[4])


def test_ensemble_fools_whom_any_member_fools(scene):
    attack = AutoAttack(EPS, steps=6, queries=40)
    members = torch.stack([member.run(*scene).success for member in attack.cascade.attacks])
    result = attack.run(*scene)
    assert torch.equal(result.success, members.any(0))
    assert 0 < result.success.sum() < len(result.success)
    first = members.int().argmax(0)
    fooled = result.success & (torch.arange(24) != 3)
    assert torch.equal(result.facts["member"][fooled].long(), first[fooled])
    assert (result.facts["member"][~fooled] == -1).all()
    for place in fooled.nonzero()[:, 0].tolist():
        own = attack.cascade.attacks[int(first[place])](*scene)
        assert torch.equal(result.images[place], own[place])


def test_members_are_those_of_the_standard_version():
    attack = AutoAttack()
    kinds = [type(member) for member in attack.cascade.attacks]
    assert kinds == [APGD, TargetedAPGD, FAB, Square]
    ce, targeted, fab, square = attack.cascade.attacks
    assert (ce.steps, targeted.steps, fab.steps, square.queries) == (100, 100, 100, 5000)
    assert (targeted.classes, fab.classes, square.area) == (9, 9, 0.8)
    assert {member.eps for member in attack.cascade.attacks} == {8 / 255}
    own = AutoAttack(0.5, "l2", "fast", steps=7, classes=2, queries=11, seed=3)
    assert [member.norm for member in own.cascade.attacks] == ["l2"] * 4
    assert [member.seed for member in own.cascade.attacks] == [3] * 4
    assert [own.cascade.attacks[1].classes, own.cascade.attacks[2].classes] == [2, 2]
    assert [own.cascade.attacks[0].steps, own.cascade.attacks[3].queries] == [7, 11]


def test_scaled_and_reseeded_ensembles_have_such_members():
    attack = AutoAttack(EPS).scaled(0.5).reseeded(9)
    assert {member.eps for member in attack.cascade.attacks} == {EPS / 2}
    assert {member.seed for member in attack.cascade.attacks} == {9}
    assert (attack.eps, attack.seed) == (EPS / 2, 9)


def test_each_class_has_its_own_start_and_all_wrong_classes_are_tried(scene):
    tried = []

    class Watched(TargetedAPGD):
        def _run(self, rank):
            tried.append(super()._run(rank))
            return tried[-1]

    victim, images, target = scene
    Watched(EPS / 100, steps=1, classes=9)(victim, images[:3], target[:3])
    assert [run.objective.rank for run in tried] == [1, 2, 3]
    assert len({run.seed for run in tried}) == 3


def towards(logits: Tensor, clean: Tensor, target: Tensor, rank: int) -> Tensor:
    return DLRTowards(rank)(Step(1, 1, logits, target, False, lambda: clean, {}))


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
def test_ratio_towards_a_class_is_its_formula(classes):
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(5, classes, generator=generator, dtype=torch.float64)
    clean = torch.randn(5, classes, generator=generator, dtype=torch.float64)
    target = torch.randint(0, classes, (5,), generator=generator)
    for rank in range(1, classes):
        found = towards(logits, clean, target, rank)
        for place in range(5):
            label, z = int(target[place]), logits[place].tolist()
            others = sorted(
                (k for k in range(classes) if k != label), key=lambda k: -clean[place, k]
            )
            top = sorted(z, reverse=True)
            low = {2: top[0] - 1, 3: top[-1]}.get(classes, sum(top[2:4]) / 2)
            expected = (z[others[rank - 1]] - z[label]) / (top[0] - low)
            assert float(found[place]) == pytest.approx(expected, rel=1e-9)


def test_ratio_towards_the_best_class_is_the_plain_one_where_that_is_the_runner_up():
    logits = torch.tensor([[3.0, 1.0, 2.0]], dtype=torch.float64)
    target = torch.tensor([0])
    plain = DLR()(Step(1, 1, logits, target, False, lambda: logits, {}))
    assert torch.equal(towards(logits, logits, target, 1), plain)


def test_void_pixels_have_no_part_in_the_ratio():
    logits = torch.randn(1, 4, 2, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([[[0, 255, 255], [255, 255, 2]]])
    alone = logits[:, :, [0, 1], [0, 2]].transpose(1, 2).reshape(2, 4)
    expected = towards(alone, alone, torch.tensor([0, 2]), 1).mean()
    assert towards(logits, logits, target, 1)[0] == pytest.approx(float(expected))
    assert towards(logits, logits, torch.full_like(target, 255), 1).tolist() == [0]


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes_are_no_obstacle(classes):
    class Few(CurvedClassifier):
        num_classes = classes

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images)[:, :classes]

    victim, images = Few().eval(), eight_bit_images(6)
    result = AutoAttack(4 / 255, steps=8, queries=20).run(victim, images, predicted(victim, images))
    assert result.success.any()
    assert result.float_images.isfinite().all()


@pytest.mark.parametrize(
    ("name", "attacks"),
    [
        ("auto_attack", {"auto_attack": AutoAttack()}),
        ("square", {"square": Square()}),
        (
            "auto_attack_members",
            {
                "apgd_ce": APGD(),
                "apgd_targeted": TargetedAPGD(),
                "fab_targeted": FAB(),
                "square": Square(),
                "auto_attack": AutoAttack(),
            },
        ),
    ],
)
def test_configs_that_take_long_are_the_published_settings(name, attacks):
    from project.core.identity import describe
    from tests.test_configs import attacks_of

    path = CONFIGS / f"{name}.yaml"
    assert describe(attacks_of(path)) == describe(attacks)
    written = yaml.safe_load(path.read_text())["attack"]["attacks"]
    assert {one["init_args"]["eps"] for one in written.values()} == {"8/255"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: AutoAttack(version="best"),
        lambda: Cascade([FGSM()]),
        lambda: Cascade([FGSM(), FGSM(targeted=True)]),
        lambda: TargetedAPGD(classes=0),
        lambda: TargetedAPGD(steps=0),
        lambda: DLRTowards(0),
    ],
)
def test_arguments_that_make_no_sense_are_refused(make):
    with pytest.raises(InputError):
        make()
