"""The gallery as the page shows it: some samples inside the page, all of them beside it."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from project.report.gallery.drawings import draw
from project.report.gallery.embedded import embed
from project.report.gallery.index import catalogue, script_json, write_scripts
from project.report.run import Run

SCRIPTS = tuple(
    f"gallery/{name}.js"
    for name in (
        *("element", "catalogue", "selection", "amplifier"),
        *("cards", "viewer", "address", "gallery"),
    )
)
"""In the order in which they run."""


@dataclass(frozen=True)
class GallerySection:
    """What the page holds.

    Attributes:
        shown: how many samples are inside the page.
        available: how many there are.
        classes: names and colours of the classes that overlays may show.
        data: the catalogue of those inside, with their pictures, as JSON.
    """

    shown: int
    available: int
    classes: list[tuple[str, str]]
    data: Markup


def gallery_section(run: Run) -> GallerySection | None:
    """Write the catalogue beside the pictures, and return what the page holds; None without any.

    What older runs did not draw is drawn now.
    """
    if not run.gallery:
        return None
    for sample in run.gallery:
        draw(sample)
    about, sets = catalogue(run, run.gallery)
    stamp = write_scripts(run.folder / "gallery", about, sets)
    inside = embed(run, sets)
    few, their_sets = catalogue(run, inside.samples)
    content = {
        "stamp": stamp,
        "available": len(run.gallery),
        "reduced": inside.reduced,
        "about": few,
        "sets": their_sets,
        "pictures": inside.pictures,
    }
    return GallerySection(
        shown=len(inside.samples),
        available=len(run.gallery),
        classes=[(about["classes"][k], colour) for k, colour in about["colours"].items()],
        data=Markup(script_json(content)),
    )
