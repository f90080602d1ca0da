"""What gradient attacks show their victims instead of the images themselves."""

from project.attacks.transforms.transform import InputTransform, View, all_views

__all__ = ["InputTransform", "View", "all_views"]
