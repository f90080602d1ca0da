"""The fast copies of an experiment's sources."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from project.victims import Victim
from project.victims.acceleration import Acceleration, accelerated


class FastSources:
    """What is attacked instead of the sources, each copy made when it is first asked for.

    Args:
        victims: by name.
        how: what makes their copies fast.
        images: (N, 3, H, W) in [0, 1], real ones on which a copy is compared with its victim.
        notices: takes a sentence on each copy.
    """

    def __init__(
        self,
        victims: Mapping[str, Victim],
        how: Acceleration,
        images: Tensor,
        notices: list[str],
    ) -> None:
        self.victims = victims
        self.how = how
        self.images = images
        self.notices = notices
        self._copies: dict[str, Victim] = {}

    def copy_of(self, name: str) -> Victim:
        """Return the copy of a victim.

        Raises:
            ValueError: if it is not what it should be.
        """
        if name not in self._copies:
            self._copies[name] = self._made(name)
        return self._copies[name]

    def _made(self, name: str) -> Victim:
        made = accelerated(self.victims[name], self.how, self.images)
        if made.changes:
            notice = (
                f"{name} is attacked through a copy ({', '.join(made.changes)}): on "
                f"{len(self.images)} images {made.difference}."
            )
            self.notices += [notice] if notice not in self.notices else []
        return made.victim
