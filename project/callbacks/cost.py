"""What the images of an experiment cost, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from project.callbacks.console import aligned
from project.callbacks.pace import told_duration
from project.evaluation import Pass


class Cost(NamedTuple):
    """What the images of one pass cost one process.

    Attributes:
        stored: images in batches that the store holds.
        lacking: images in batches that are still to be attacked.
        seconds: per image, None where no batch had to be attacked.
    """

    stored: int
    lacking: int
    seconds: float | None

    @property
    def left(self) -> float:
        """Seconds that the images which are lacking take."""
        return self.lacking * self.seconds if self.seconds is not None else 0.0


def estimate_table(everyone: Sequence[Mapping[Pass, Cost]]) -> str:
    """Return the estimate as text: a line per pass, and one for all.

    Args:
        everyone: the costs of each process.
    """
    found = [cost for costs in everyone for cost in costs.values()]
    if all(cost.seconds is None for cost in found):
        images = sum(cost.stored for cost in found)
        return f"all {images} adversarial images are in the store: there is nothing to attack"
    lines = [_line(step, [costs[step] for costs in everyone]) for step in everyone[0]]
    total = max(sum(cost.left for cost in costs.values()) for costs in everyone)
    shared = f" on {len(everyone)} processes" if len(everyone) > 1 else ""
    return "\n".join(
        [
            aligned([["attack", "source", "stored", "lacking", "s/image", "time"], *lines]),
            f"attacking will take about {told_duration(total)}{shared}, rather less: one batch of "
            "each pass was timed,",
            "which also warmed up. Judging the images comes on top.",
        ]
    )


def _line(step: Pass, costs: Sequence[Cost]) -> list[str]:
    measured = [cost.seconds for cost in costs if cost.seconds is not None]
    return [
        step.attack,
        step.source,
        str(sum(cost.stored for cost in costs)),
        str(sum(cost.lacking for cost in costs)),
        f"{sum(measured) / len(measured):.3g}" if measured else "–",
        told_duration(max(cost.left for cost in costs)),
    ]
