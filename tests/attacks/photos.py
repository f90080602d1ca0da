"""A data set for attacks that look other images up."""

from torch import Tensor

from tests.models import CLASSES, eight_bit_images


class Photos:
    """Eight images; a class each, or none where each pixel would have one."""

    names = tuple("abcdefgh")

    def __init__(self, labelled: bool, height: int = 12, width: int = 16) -> None:
        self.labelled = labelled
        self.size = (height, width)

    def image(self, index: int) -> Tensor:
        return eight_bit_images(1, *self.size, seed=100 + index)[0]

    def label(self, index: int) -> int | None:
        return index % CLASSES if self.labelled else None
