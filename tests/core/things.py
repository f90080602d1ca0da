"""Things of somebody else's, outside the package, that are described in tests."""

import enum
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps

from torch import nn

from project.attacks import PGD


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Slotted:
    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


class Free:
    """No constructor: whatever was set is what it is."""


class Maker:
    def __init__(self, size: int) -> None:
        self.size = size

    def made(self, images):
        return images * self.size

    def other(self, images):
        return images + self.size

    @cached_property
    def table(self) -> list[int]:
        return [self.size] * 3


@dataclass(frozen=True)
class MyPGD(PGD):
    more: float = 0.0


class Shift(nn.Module):
    """A network whose number is no weight."""

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, images):
        return images + self.amount


def plain(images):
    return images


@lru_cache
def cached_one(number: int) -> int:
    return number


def doubled(function):
    @wraps(function)
    def wrapper(images):
        return 2 * function(images)

    return wrapper


@doubled
def decorated(images):
    return images
