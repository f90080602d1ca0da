"""Checks that a run's folder, and the store that its images are in, are as they were written.

``python -m project.check RUN``
"""

from project.check.images import ImageCount, check_images
from project.check.run import check_run

__all__ = ["ImageCount", "check_images", "check_run"]
