"""What a picture on a rater's page is: reference, attack, hidden control or attention check."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["reference", "attack", "clean", "identical", "obvious"]


class Panel(NamedTuple):
    """One picture's part on a page.

    Attributes:
        kind: ``reference``, the clean image that others are compared with; ``attack``, an
            adversarial image; ``clean``, the clean image once more, as a hidden control;
            ``identical`` and ``obvious``, attention checks: the clean image, and one that is
            changed so that nobody who looks can miss it.
        attack: its name, empty unless adversarial.
    """

    kind: Kind
    attack: str = ""

    @property
    def modified(self) -> bool:
        """Whether it differs from the clean image."""
        return self.kind in ("attack", "obvious")

    @property
    def is_check(self) -> bool:
        """Whether it tells something of the rater, not of an attack."""
        return self.kind in ("identical", "obvious")

    @property
    def stimulus(self) -> Panel:
        """The stored picture that it shows."""
        return self if self.modified else CLEAN


REFERENCE = Panel("reference")
CLEAN = Panel("clean")
IDENTICAL = Panel("identical")
OBVIOUS = Panel("obvious")
