"""One sample's story: its adversarial image made again alone, compared with the store's, and told.

python -m project.explain RUN INDEX [--attack NAME] [--source NAME] [--batch] [--KEY VALUE ...]

The run's folder says what was attacked and what came of it; its config builds data, victim and
attack again. What has moved since is named as for ``attack.py``, such as ``--data.root DIR``.
"""

from project.explain.again import Again, made_again
from project.explain.difference import Difference
from project.explain.finished import FinishedRun
from project.explain.story import story

__all__ = ["Again", "Difference", "FinishedRun", "made_again", "story"]
