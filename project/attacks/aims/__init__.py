"""What targeted attacks aim at."""

from project.attacks.aims.aim import Aim
from project.attacks.aims.fixed_class import FixedClass
from project.attacks.aims.nearest_wrong_class import NearestWrongClass
from project.attacks.aims.target_maps import TargetMaps

__all__ = ["Aim", "FixedClass", "NearestWrongClass", "TargetMaps"]
