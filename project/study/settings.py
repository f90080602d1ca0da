"""A study's settings, fixed once it has been created."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from project.core.errors import InputError
from project.core.json_text import parse_json

DesignName = Literal["paper", "2afc"]


@dataclass(frozen=True)
class Settings:
    """A study's design and size.

    Source: seconds and images as in SSTA's user study [paper]; the rest is chosen here [ours].

    Args:
        design: ``paper`` is SSTA's question, ``2afc`` a forced choice between two.
        attacks: names of those judged; empty is all that the gallery shows of the source.
        source: the victim that they were made on; empty is the one with the most pictures. One
            source, so that image × attack is one picture.
        images: at most so many, drawn from those that every attack shows.
        pages: at most so many images for one rater, besides the checks.
        candidates: pictures beside the reference on a page of ``paper``, 1 … 4; 0 is as many as
            there are attacks, at most 4: one fewer than there are kinds, so that nobody can tell
            by elimination whether the clean image is among them.
        checks: pages that test the rater's attention.
        seconds: that a page stays open.
        seed: of the draws of images, assignment, order and sides.
        consent: what raters agree to, paragraphs divided by empty lines; empty is the built-in
            text.

    Raises:
        InputError: if a number is out of its range, or an attack named twice.
    """

    design: DesignName = "paper"
    attacks: tuple[str, ...] = ()
    source: str = ""
    images: int = 50
    pages: int = 50
    candidates: int = 0
    checks: int = 4
    seconds: int = 100
    seed: int = 0
    consent: str = ""

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise InputError(
                    f"{name} must be at least {least}, got {getattr(self, name)}. Give another "
                    f"--{name}."
                )
        if len(set(self.attacks)) < len(self.attacks):
            raise InputError(
                f"each attack is judged once, got --attacks {' '.join(self.attacks)}. Name each "
                "once."
            )

    def to_json(self) -> str:
        """Return the settings as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Return what :meth:`to_json` wrote."""
        facts = parse_json(text)
        return cls(**facts | {"attacks": tuple(facts["attacks"])})


LEAST = {"images": 1, "pages": 1, "candidates": 0, "checks": 0, "seconds": 5, "seed": 0}


_TEXT = Path(__file__).parent / "pages/consent.txt"


def paragraphs(settings: Settings) -> list[str]:
    """Return the consent text of a study, paragraph by paragraph."""
    text = settings.consent or _TEXT.read_text(encoding="utf-8")
    return [part.strip() for part in text.split("\n\n") if part.strip()]
