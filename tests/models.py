"""Small victims for tests: strongly curved, since a linear one hides dependence on batch mates."""

import torch
from torch import Tensor, nn

CLASSES = 4


class CurvedClassifier(nn.Module):
    """Frequencies and products of pixels, with dropout and a frozen BatchNorm inside."""

    num_classes = CLASSES

    def __init__(self, size: tuple[int, int] = (12, 16)) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        values = 3 * size[0] * size[1]
        self.mix = nn.Parameter(torch.randn(values, 16, generator=generator) * 0.3)
        self.out = nn.Parameter(torch.randn(16, CLASSES, generator=generator))
        self.norm = FrozenBatchNorm(16)
        self.first = nn.Identity()  # a layer with a name, for those who look at one
        self.drop = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        hidden = torch.sin((self.first(images) - 0.5).flatten(1) @ self.mix)
        return self.drop(self.norm(hidden)) @ self.out


class SpatialClassifier(nn.Module):
    """A classifier with feature maps to look at."""

    num_classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.sin(4 * self.conv(images)).mean((2, 3)))
        return logits


class CurvedSegmenter(nn.Module):
    """A small convolutional network with smooth, strongly curved activations."""

    num_classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(11)
            self.first = nn.Conv2d(3, 8, 3, padding=1)
            self.second = nn.Conv2d(8, CLASSES, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        hidden = torch.sin(4 * self.first(images))
        logits: Tensor = self.second(hidden)
        return logits


class FrozenBatchNorm(nn.BatchNorm1d):
    """Stays in eval mode whatever it is told, as frozen BatchNorm layers do."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        return super().train(False)


def eight_bit_images(count: int, height: int = 12, width: int = 16, seed: int = 0) -> Tensor:
    """Return random images (N, 3, H, W) of values k/255, away from 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(40, 216, (count, 3, height, width), generator=generator)
    return levels.float().div(255)


def predicted(victim: nn.Module, images: Tensor) -> Tensor:
    """Return the classes that a victim predicts in eval mode."""
    victim.eval()
    with torch.no_grad():
        return victim(images).argmax(1)
