"""What a kind of input must tell the fuzz."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ground:
    """A kind of input.

    Attributes:
        name: by which the command line calls it.
        cases: how many are drawn where nobody says.
        patience: seconds on an idle machine after which a case hangs.
        words: what this kind of file gives a meaning to.
    """

    name: str = ""
    cases: int = 500
    patience: float = 10.0
    words: Sequence[bytes] = field(default=())

    def make(self, folder: Path) -> None:
        """Write an intact input into a folder."""
        raise NotImplementedError

    def targets(self, folder: Path) -> list[Path]:
        """Return the files of which one is damaged in each case."""
        raise NotImplementedError

    def use(self, folder: Path) -> Any:
        """Use the input as the product does, and return what came of it."""
        raise NotImplementedError

    def right(self, folder: Path, result: Any, intact: Any) -> bool:
        """Judge a result by something independent.

        Args:
            folder: the damaged input.
            result: what came of its use.
            intact: what came of the use of the intact one.
        """
        return bool(result == intact)

    def chosen(self, targets: Sequence[Path], draw: random.Random) -> Path:
        """Choose the file to damage: each kind of file as often as the others."""
        kinds = sorted({path.suffix for path in targets})
        kind = draw.choice(kinds)
        return draw.choice([path for path in targets if path.suffix == kind])
