"""The database of a study."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.study.answers import answers
from project.study.database import Database
from tests.fuzz.ground import Ground
from tests.study.studies import agreed, judge_all, make_study


@dataclass(frozen=True)
class Studies(Ground):
    """A study that two raters have answered."""

    def make(self, folder: Path) -> None:
        """Write the database, closed as a server leaves it."""
        database = make_study(folder)
        for rater, _ in agreed(database, 2):
            judge_all(database, rater, lambda panel: panel.attack == "pgd")

    def targets(self, folder: Path) -> list[Path]:
        """Return the database."""
        return [folder / "study.sqlite"]

    def use(self, folder: Path) -> Any:
        """Return settings and judgements."""
        database = Database(folder / "study.sqlite")
        return database.settings, answers(database)
