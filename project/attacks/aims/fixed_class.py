"""One class for everything."""

from __future__ import annotations

import torch
from torch import Tensor

from project.attacks.aims.aim import Aim
from project.core.errors import InputError


class FixedClass(Aim):
    """One class everywhere: an empty road, an image of a given class.

    What is of that class already is wanted as it is, so that the whole image shows it in the end
    [ours]; such elements count as reached while they are left alone.

    Args:
        number: the class, at least 0.
    """

    def __init__(self, number: int) -> None:
        if number < 0:
            raise InputError(f"number must be a class, 0 or more, got {number}.")
        self.number = number

    def wanted(self, logits: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the class, in the target's shape."""
        return torch.full_like(target, self.number)
