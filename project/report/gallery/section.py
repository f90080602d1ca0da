"""The gallery as the page shows it: some samples inside the page, all of them beside it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from markupsafe import Markup
from PIL import Image

from project.report.gallery.drawings import draw
from project.report.gallery.index import CatalogueScripts, Data, catalogue, script_json
from project.report.gallery.sample import Sample
from project.report.run import Run
from project.report.templates import LARGEST_SIDE, data_uri
from project.storage import layout
from project.storage.checksums import read_checked

SCRIPTS = tuple(
    f"gallery/{name}.js"
    for name in (
        *("element", "catalogue", "selection", "amplifier"),
        *("cards", "viewer", "address", "gallery"),
    )
)
"""In the order in which they run."""
MOST_BYTES = 6_000_000
"""Of embedded pictures, a third more in base64: a page that can still be mailed."""


@dataclass(frozen=True)
class GallerySection:
    """The gallery inside the page.

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
    addresses: Addresses = {}
    with tempfile.TemporaryFile() as bodies:
        scripts = CatalogueScripts(run.folder / layout.GALLERY, bodies)

        def keep(one: Data) -> None:
            scripts.add(one)
            addresses[one["attack"], one["source"]] = list(one["pictures"].values())

        about = catalogue(run, run.gallery, keep)
        stamp = scripts.write(about)
    inside, their_sets = embed(run, addresses), list[Data]()
    few = catalogue(run, inside.samples, their_sets.append)
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


@dataclass
class EmbeddedGallery:
    """Samples whose pictures are inside the page.

    Attributes:
        samples: each with all its pictures.
        pictures: data URIs by address within ``gallery/``; a clean image is there once.
        reduced: whether any picture is smaller than its file.
    """

    samples: list[Sample] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    reduced: bool = False

    def add(self, gallery: Path, sample: Sample, addresses: Sequence[str]) -> None:
        """Embed a sample's pictures."""
        for address in addresses:
            path = gallery / unquote(address)
            if address not in self.pictures and path.is_file():
                self.pictures[address] = self._uri(path)
        self.samples.append(sample)

    @property
    def size(self) -> int:
        """Bytes of the pictures as text."""
        return sum(map(len, self.pictures.values()))

    def _uri(self, path: Path) -> str:
        content = read_checked(path)
        if path.suffix == ".svg":
            return data_uri(content, "svg+xml")
        with Image.open(io.BytesIO(content), formats=["PNG", "WEBP"]) as image:
            if max(image.size) <= LARGEST_SIDE:
                return data_uri(content, path.suffix[1:])
            self.reduced = True
            # Other than photos, only layers of classes are so large, and class colours must not
            # blend.
            photo, classes = Image.Resampling.LANCZOS, Image.Resampling.NEAREST
            image.thumbnail((LARGEST_SIDE,) * 2, photo if path.suffix == ".png" else classes)
            buffer = io.BytesIO()
            image.save(buffer, "WEBP", lossless=True)
            return data_uri(buffer.getvalue(), "webp")


Addresses = dict[tuple[str, str], list[str]]
"""Of each attack and source, where the pictures of a sample lie, ``{index}`` standing for it."""


def embed(run: Run, addresses: Addresses) -> EmbeddedGallery:
    """Embed the first images, each with all its attacks, until :data:`MOST_BYTES` are reached.

    Args:
        run: the run.
        addresses: of the pictures of its whole gallery.
    """
    inside = EmbeddedGallery()
    for sample in sorted(run.gallery, key=lambda sample: sample.index):
        if inside.size > 4 / 3 * MOST_BYTES:
            break
        name = sample.folder.name
        found = [path.format(index=name) for path in addresses[sample.attack, sample.source]]
        inside.add(run.folder / layout.GALLERY, sample, found)
    return inside
