"""Explaining one sample: its adversarial image is recomputed and compared with the stored one.

python -m project.explain RUN INDEX [--attack NAME] [--source NAME] [--batch] [--KEY VALUE ...]

The run's folder holds the config, which builds data, victim and attack again, and the results.
Arguments that have changed since are given as for ``attack.py``, such as ``--data.root DIR``.
"""

from project.explain.again import Again, made_again
from project.explain.difference import Difference
from project.explain.finished import FinishedRun
from project.explain.story import story

__all__ = ["Again", "Difference", "FinishedRun", "made_again", "story"]
