"""What gradient attacks show their victims instead of the images themselves."""

from project.attacks.transforms.admix import Admix
from project.attacks.transforms.diversity import Diversity
from project.attacks.transforms.scale_invariant import ScaleInvariant
from project.attacks.transforms.spectrum import Spectrum
from project.attacks.transforms.transform import InputTransform, View, all_views

__all__ = [
    "Admix",
    "Diversity",
    "InputTransform",
    "ScaleInvariant",
    "Spectrum",
    "View",
    "all_views",
]
