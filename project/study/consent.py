"""What raters agree to."""

from __future__ import annotations

from pathlib import Path

from project.study.settings import Settings

_TEXT = Path(__file__).parent / "pages/consent.txt"


def paragraphs(settings: Settings) -> list[str]:
    """Return the consent text of a study, paragraph by paragraph."""
    text = settings.consent or _TEXT.read_text(encoding="utf-8")
    return [part.strip() for part in text.split("\n\n") if part.strip()]
