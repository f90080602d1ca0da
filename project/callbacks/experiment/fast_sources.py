"""The fast copies of an experiment's sources."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from project.victims import Victim
from project.victims.acceleration import Acceleration, accelerated


class FastSources:
    """Fast copies of the sources, which are attacked in their place; made on first use.

    Attributes:
        told: by the victim's name, the changes in its copy and the difference of their logits.

    Args:
        victims: the original victims by name.
        how: options of their fast copies.
        images: (N, 3, H, W) in [0, 1], real ones on which a copy is compared with its victim.
    """

    def __init__(
        self,
        victims: Mapping[str, Victim],
        how: Acceleration,
        images: Tensor,
    ) -> None:
        self.victims = victims
        self.how = how
        self.images = images
        self.told: dict[str, str] = {}
        self._copies: dict[str, Victim] = {}

    def copy_of(self, name: str) -> Victim:
        """Return the fast copy of a victim.

        Raises:
            ValueError: if the copy's logits differ too much from the victim's.
        """
        if name not in self._copies:
            self._copies[name] = self._made(name)
        return self._copies[name]

    def _made(self, name: str) -> Victim:
        made = accelerated(self.victims[name], self.how, self.images)
        if made.changes:
            changes = ", ".join(made.changes)
            self.told[name] = f"{changes}; on {len(self.images)} images {made.difference}"
        return made.victim
