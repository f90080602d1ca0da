"""Images that leave at their first success, against attacks of their own and of fixed length."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from project.attacks import (
    GRA,
    MEF,
    MIFGSM,
    PGD,
    PGN,
    Attack,
    CosPGD,
    CrossEntropy,
    Diversity,
    GradientAttack,
    Momentum,
    Nesterov,
    ScaleInvariant,
    SegPGD,
    Spectrum,
    TranSegPGD,
    Variance,
)
from project.threat_models import Flow, Linf, Masked, ThreatModel
from project.victims import ClassificationVictim, EnsembleVictim, MeanLossEnsemble
from tests.attacks.passes import Counted
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

EPS = 3 / 255
SMALL = {"eps": EPS, "step_size": 0.4 / 255, "early_stop": True}


def masked(inner) -> GradientAttack:
    mask = torch.rand(5, 1, 12, 16, generator=torch.Generator().manual_seed(1)).double()
    return GradientAttack(
        Masked(inner, mask), CrossEntropy(), 0.5 / 255, 12, rules=[Momentum()], early_stop=True
    )


def space(attack: Attack) -> ThreatModel:
    combined = attack if isinstance(attack, GradientAttack) else attack.built()
    return combined.threat_model


ON_CLASSES = {
    "pgd": PGD(steps=12, **SMALL),
    "mifgsm": MIFGSM(steps=12, **SMALL),
    "l2": PGD(0.3, 0.05, 12, norm="l2", step_schedule="uniform", early_stop=True),
    "views": PGD(steps=12, transforms=[Diversity(), ScaleInvariant(2)], **SMALL),
    "variance": PGD(steps=12, rules=[Variance(2), Momentum()], **SMALL),
    "neighbours": PGD(steps=12, rules=[PGN(2), MEF(2), Momentum()], **SMALL),
    "relevance": PGD(steps=12, rules=[GRA(2), Momentum()], **SMALL),
    "ahead": PGD(steps=12, rules=[Nesterov()], **SMALL),
    "masked": masked(Linf(EPS)),
    "flow": GradientAttack(Flow(0.5), CrossEntropy(), 0.004, 12, early_stop=True),
}
ON_PIXELS = {
    "segpgd": SegPGD(8 / 255, steps=14, early_stop=True),
    "cospgd": CosPGD(24 / 255, steps=14, early_stop=True),
    "transegpgd": TranSegPGD(8 / 255, steps=14, early_stop=True),
    "all_fooled": TranSegPGD(8 / 255, steps=14, stage_switch="all_fooled", early_stop=True),
}


class Few(nn.Module):
    """A segmenter of four pixels, which fall one by one: some images wholly, some never."""

    num_classes = 4

    def __init__(self) -> None:
        super().__init__()
        self.inner = CurvedSegmenter()

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.interpolate(self.inner(images)[..., 2:4, 2:4], images.shape[2:])


def scene(name: str) -> tuple[GradientAttack, nn.Module, Tensor, Tensor]:
    images = eight_bit_images(5, seed=3).double()
    victim = (CurvedClassifier() if name in ON_CLASSES else Few()).double().eval()
    target = predicted(victim, images)
    target[4] = (target[4] + 1) % 4  # fooled before the first step, or almost
    return (ON_CLASSES | ON_PIXELS)[name], victim, images, target


class Member(ClassificationVictim):
    """A classifier that counts and can be one of an ensemble."""

    def __init__(self) -> None:
        super().__init__(Counted(CurvedClassifier()), 4, mean=(0.0,) * 3, std=(1.0,) * 3)


every_attack = pytest.mark.parametrize("name", ON_CLASSES | ON_PIXELS)


@every_attack
def test_an_image_fares_as_it_would_alone(name):
    attack, victim, images, target = scene(name)
    index = torch.tensor([5, 3, 8, 1, 6])
    together = attack.run(victim, images, target, index)
    assert len(together.steps.unique()) > 2, "the images must leave at different steps"
    for place in range(5):
        one = slice(place, place + 1)
        own = attack
        if name == "masked":
            own = masked(Linf(EPS))
            own = replace(own, threat_model=own.threat_model.at(torch.tensor([place])))
        alone = own.run(victim, images[one], target[one], index[one])
        torch.testing.assert_close(  # matrix products round otherwise in other batches
            alone.float_images, together.float_images[one], rtol=0, atol=1e-12
        )
        assert torch.equal(alone.images, together.images[one])
        assert torch.equal(alone.steps, together.steps[one])
        for told in ("facts", "traces"):
            mine, ours = getattr(alone, told), getattr(together, told)
            assert mine.keys() == ours.keys() or told == "traces"
            for key, value in mine.items():
                torch.testing.assert_close(value, ours[key][one], equal_nan=True)


@every_attack
def test_whoever_left_fools_as_an_8_bit_image_and_whoever_stayed_made_all_steps(name):
    attack, victim, images, target = scene(name)
    result = attack.run(victim, images, target)
    left = result.steps < attack.steps
    assert left.any()
    assert result.success[left].all()
    assert (space(attack).size(result.perturbation[left]) > 0).any()


def test_the_first_success_of_the_iterates_is_returned():
    attack, victim, images, target = scene("pgd")
    result = attack.run(victim, images, target)
    start = space(attack).random(images, torch.arange(5), 0, "PGD", "start")
    iterates = [start] + [
        PGD(EPS, 0.4 / 255, steps).run(victim, images, target).perturbation
        for steps in range(1, 13)
    ]
    for place in range(5):
        one = slice(place, place + 1)

        def fools(noise: Tensor, one: slice = one) -> bool:
            shown = images[one] + noise[one]
            rounded = space(attack).round(images[one], shown)
            return all((predicted(victim, x) != target[one]).all() for x in (shown, rounded))

        first = next((k for k in range(12) if fools(iterates[k])), 12)
        assert int(result.steps[place]) == first
        assert torch.equal(result.perturbation[place], iterates[first][place])


@every_attack
def test_traces_tell_of_the_steps_made_and_of_no_others(name):
    attack, victim, images, target = scene(name)
    result = attack.run(victim, images, target)
    assert "fooled" not in result.traces
    made = torch.arange(attack.steps) < result.steps[:, None]
    assert torch.equal(result.traces["objective"].isfinite(), made)
    assert torch.equal(result.traces["step_size"].isfinite(), made)
    assert result.facts["zero_gradient"].eq(0).all()
    assert result.facts["bad_gradient"].eq(0).all()
    if name in ("transegpgd", "all_fooled"):
        stages = result.facts["stage1_steps"] + result.facts["stage2_steps"]
        assert torch.equal(stages, result.steps.to(stages))


def test_where_nobody_falls_nothing_is_asked_twice_and_nothing_changes():
    victim, images = Counted(CurvedClassifier().eval()), eight_bit_images(4)
    target = predicted(victim.inner, images)
    tiny = {"eps": 1e-6, "step_size": 1e-6, "steps": 6}
    index = torch.arange(4)
    found = PGD(**tiny, early_stop=True).perturb(victim, images, target, index)
    assert victim.forwards == [4] * 6
    assert victim.backwards == [4] * 6
    plain = PGD(**tiny).perturb(victim, images, target, index)
    assert torch.equal(found.float_images, plain.float_images)
    assert found.traces.keys() == plain.traces.keys()
    assert all(torch.equal(found.traces[name], plain.traces[name]) for name in plain.traces)


@pytest.mark.parametrize(
    "parts", [{"transforms": [Diversity()]}, {"rules": [Nesterov()]}, {"transforms": [Spectrum(1)]}]
)
def test_where_a_step_shows_something_else_the_image_itself_is_asked_about(parts):
    victim, images = Counted(CurvedClassifier().eval()), eight_bit_images(4)
    attack = PGD(1e-6, 1e-6, 6, early_stop=True, **parts)
    attack.perturb(victim, images, predicted(victim.inner, images), torch.arange(4))
    assert victim.forwards == [4, 4] * 6
    assert victim.backwards == [4] * 6


@pytest.mark.parametrize(("kind", "asked"), [(EnsembleVictim, 6), (MeanLossEnsemble, 12)])
def test_an_ensemble_is_judged_as_a_whole(kind, asked):
    members = [Member(), Member()]
    images = eight_bit_images(4)
    victim = kind(members).eval()
    attack = PGD(1e-6, 1e-6, 6, early_stop=True)
    attack.perturb(victim, images, predicted(members[0].network.inner, images), torch.arange(4))
    assert [len(member.network.forwards) for member in members] == [asked, asked]


def test_whoever_has_left_is_asked_no_more():
    attack, victim, images, target = scene("pgd")
    counted = Counted(victim)
    steps = attack.perturb(counted, images, target, torch.arange(5)).steps
    looks = [int((steps >= number).sum()) for number in range(12) if (steps >= number).any()]
    asked = list(counted.forwards)
    assert counted.backwards == looks
    for look in looks:
        asked.remove(look)
    assert sum(asked) >= int((steps < 12).sum())  # once as an 8-bit image, more if that did not do
    assert sum(asked) <= 2 * int((steps < 12).sum())


def test_batch_that_is_fooled_from_the_start_is_looked_at_once():
    victim, images = Counted(CurvedClassifier().eval()), eight_bit_images(3)
    target = (predicted(victim.inner, images) + 1) % 4
    for rules in ([], [Nesterov()]):
        attack = PGD(EPS, rules=rules, random_start=False, early_stop=True)
        found = attack.run(victim, images, target)
        assert found.steps.tolist() == [0, 0, 0]
        assert torch.equal(found.images, images)
        assert found.facts["zero_gradient"].tolist() == [0, 0, 0]
    assert victim.forwards == [3] * 8  # a look, a question, two verdicts


def test_a_void_image_never_succeeds():
    images = eight_bit_images(2)
    victim = CurvedSegmenter().eval()
    target = predicted(victim, images)
    target[0] = 255
    result = SegPGD(EPS, steps=3, early_stop=True).run(victim, images, target)
    assert result.steps.tolist() == [3, 3]
    assert result.success.tolist() == [False, False]
