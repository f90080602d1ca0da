"""Input transforms, whose views gradient attacks show their victims instead of the images."""

from project.attacks.gradient.transforms.admix import Admix
from project.attacks.gradient.transforms.diversity import Diversity
from project.attacks.gradient.transforms.scale_invariant import ScaleInvariant
from project.attacks.gradient.transforms.spectrum import Spectrum
from project.attacks.gradient.transforms.transform import InputTransform, View, all_views

__all__ = [
    "Admix",
    "Diversity",
    "InputTransform",
    "ScaleInvariant",
    "Spectrum",
    "View",
    "all_views",
]
