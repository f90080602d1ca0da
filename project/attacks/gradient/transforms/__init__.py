"""Input transforms, whose views gradient attacks show their victims instead of the images."""

from project.attacks.gradient.transforms.admix import Admix
from project.attacks.gradient.transforms.block_shuffle import BlockShuffle
from project.attacks.gradient.transforms.deformation import Deformation
from project.attacks.gradient.transforms.diversity import Diversity
from project.attacks.gradient.transforms.mixed_frequency import MixedFrequency
from project.attacks.gradient.transforms.random_affine import RandomAffine
from project.attacks.gradient.transforms.scale_invariant import ScaleInvariant
from project.attacks.gradient.transforms.spectrum import Spectrum
from project.attacks.gradient.transforms.structure_invariant import StructureInvariant
from project.attacks.gradient.transforms.transform import InputTransform, View, all_views

__all__ = [
    "Admix",
    "BlockShuffle",
    "Deformation",
    "Diversity",
    "InputTransform",
    "MixedFrequency",
    "RandomAffine",
    "ScaleInvariant",
    "Spectrum",
    "StructureInvariant",
    "View",
    "all_views",
]
