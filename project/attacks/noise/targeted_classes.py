"""Base class of attacks that try one wrong class after another."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from project.attacks.core.attack import Attack
from project.attacks.core.result import Perturbed
from project.attacks.core.survivors import Survivors
from project.core.errors import InputError
from project.threat_models import Norm, norm_ball


@dataclass(frozen=True)
class TargetedClasses(Attack):
    """Try the best wrong classes in turn, each on the images that still resist.

    Any wrong class is a success. Where there are fewer wrong classes than asked for, all are tried.
    Rows hold as ``rank`` which one led to the image, 1 the best, -1 where none did.
    """

    kind = "gradient"
    budget_fields = ("eps",)
    targeted = False

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range."""
    steps: int = 100
    """Number of steps for each class."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``; an L2 budget is over all values of an image."""
    classes: int = 9
    """Largest number of wrong classes to try."""
    seed: int = 0
    """Seed from which all random draws derive."""

    def __post_init__(self) -> None:
        norm_ball(self.norm, self.eps)
        if self.steps < 1 or self.classes < 1:
            raise InputError(
                f"steps and classes must be at least 1, got {self.steps} and {self.classes}."
            )

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Try class after class."""
        survivors = Survivors(victim, images, target, index, self.targeted)
        for rank in range(1, min(self.classes, survivors.logits.shape[1] - 1) + 1):
            survivors.face(partial(self.towards, victim, rank), rank)
        return survivors.result("rank")

    @abstractmethod
    def towards(
        self, victim: nn.Module, rank: int, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search towards the wrong class of a rank, 1 the best; as ``perturb`` otherwise."""
