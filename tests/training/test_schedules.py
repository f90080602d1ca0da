"""Courses of the learning rate, and SGD as published trainings have it, against torch's own."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, MultiStepLR, PolynomialLR

from project.core.errors import InputError
from project.training import Cyclic, LearningRateSchedule, Piecewise, Polynomial
from project.training.optimisation import make_optimizer, make_schedule

STEPS = 40
PEAK = 0.2


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=PEAK)


def rates(schedule: LRScheduler) -> list[float]:
    """Return the rate of every step of the training."""
    course = []
    for _ in range(STEPS):
        course.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return course


@pytest.mark.parametrize(
    ("schedule", "of_torch"),
    [
        (Piecewise(), lambda o: MultiStepLR(o, [20, 30], gamma=0.1)),
        (Piecewise((25 / 40, 31 / 40, 0.9), 0.5), lambda o: MultiStepLR(o, [25, 31, 36], 0.5)),
        (Cyclic(), lambda o: CyclicLR(o, 0.0, PEAK, 20, 20, cycle_momentum=False)),
        (Cyclic(0.4), lambda o: CyclicLR(o, 0.0, PEAK, 16, 24, cycle_momentum=False)),
        (Polynomial(), lambda o: PolynomialLR(o, STEPS, power=0.9)),
        (Polynomial(2.0), lambda o: PolynomialLR(o, STEPS, power=2.0)),
    ],
    ids=["piecewise", "three", "cyclic", "uneven", "poly", "square"],
)
def test_rates_are_those_of_torch_step_by_step(schedule, of_torch):
    ours = rates(make_schedule(optimizer(), schedule, STEPS))
    assert ours == pytest.approx(rates(of_torch(optimizer())), abs=1e-12)


@pytest.mark.parametrize("schedule", [Piecewise(), Cyclic(), Polynomial()])
def test_a_training_of_one_step_and_its_end_have_a_rate(schedule):
    course = make_schedule(optimizer(), schedule, 1)
    assert 0 <= rates(course)[0] <= PEAK


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Piecewise((0.75, 0.5)), r"milestones must rise inside \(0, 1\)"),
        (lambda: Piecewise((100, 150)), "For epoch 100 of 200 write 100/200"),
        (lambda: Piecewise(()), "milestones must rise"),
        (lambda: Piecewise(gamma=10.0), "gamma must be in"),
        (lambda: Cyclic(1.0), "peak must be in"),
        (lambda: Polynomial(0.0), "power must be greater than 0"),
        (lambda: Polynomial("0.9"), "power must be a finite number"),
    ],
)
def test_a_schedule_that_is_none_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_schedule_of_ones_own_is_taken():
    class Halved(LearningRateSchedule):
        def factor(self, progress: float) -> float:
            return 0.5

    assert set(rates(make_schedule(optimizer(), Halved(), STEPS))) == {PEAK / 2}


def test_heavy_ball_is_torchs_sgd_with_momentum_that_decays_everything():
    torch.manual_seed(0)
    ours, theirs = (nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    ours[1].requires_grad_(False).weight.requires_grad_(True)
    theirs[1].bias.requires_grad_(False)
    optimizers = [
        make_optimizer(ours.parameters(), "heavy_ball", 0.1, 0.3),
        torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=0.3),
    ]
    images = torch.randn(4, 3, 5, 5)
    for _ in range(3):
        for network, one in zip((ours, theirs), optimizers, strict=True):
            one.zero_grad()
            network(images).square().sum().backward()
            one.step()
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name
