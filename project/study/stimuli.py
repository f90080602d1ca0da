"""The pictures of a study, taken from a run's gallery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from project.core.errors import InputError
from project.report.gallery import Sample
from project.report.run import Run
from project.report.run_rows import Row
from project.study.designs import DESIGNS
from project.study.distortions import obvious, png
from project.study.settings import Settings
from project.study.stimulus_kind import CLEAN, OBVIOUS, Panel


class Stimulus(NamedTuple):
    """A picture: an image's id and name, what it shows, its pixels as PNG, what was measured."""

    image: int
    name: str
    shows: Panel
    png: bytes
    facts: Row = {}  # noqa: RUF012 never written to


def settled(run: Run, settings: Settings) -> Settings:
    """Return the settings with source, attacks and candidates named.

    Raises:
        InputError: if the gallery lacks what they ask for.
    """
    if not run.gallery:
        raise InputError(
            f"a study needs a run's pictures, {run.folder} has no gallery. Run attack.py with "
            "--run.gallery N."
        )
    sources = Counter(sample.source for sample in run.gallery)
    source = settings.source or min(sources, key=lambda name: (-sources[name], name))
    made = sorted({sample.attack for sample in run.gallery if sample.source == source})
    if missing := set(settings.attacks).difference(made) or ({source} - sources.keys()):
        raise InputError(
            f"attacks and source must be in the gallery, got {', '.join(sorted(missing))}. It has "
            f"the sources {', '.join(sorted(sources))}"
            + (f", and on {source} the attacks {', '.join(made)}." if made else ".")
        )
    named = replace(settings, source=source, attacks=settings.attacks or tuple(made))
    return replace(named, candidates=DESIGNS[named.design].candidates(named))


def stimuli(run: Run, settings: Settings) -> Iterator[Stimulus]:
    """Yield the pictures of the images that every attack shows, as many as are wanted.

    Args:
        run: with a gallery.
        settings: as :func:`settled` returns them.

    Raises:
        InputError: if no image is shown by every attack.
    """
    samples = {
        (sample.attack, sample.index): sample
        for sample in run.gallery
        if sample.source == settings.source and sample.attack in settings.attacks
    }
    images = _drawn(samples, settings)
    names, measured = _names(run, images), _measured(run, settings, images)
    for image in images:
        clean = samples[settings.attacks[0], image].read("clean")
        name = names.get(image) or str(image)
        yield Stimulus(image, name, CLEAN, png(clean))
        yield Stimulus(image, name, OBVIOUS, png(obvious(clean)))
        for attack in settings.attacks:
            adversarial = samples[attack, image].read("adversarial")
            facts = measured.get((attack, image), {})
            yield Stimulus(image, name, Panel("attack", attack), png(adversarial), facts)


def _drawn(samples: dict[tuple[str, int], Sample], settings: Settings) -> list[int]:
    indices = [{i for a, i in samples if a == attack} for attack in settings.attacks]
    common = sorted(set.intersection(*indices))
    if not common:
        raise InputError(
            "the attacks of a study must show an image in common, got none for "
            f"{', '.join(settings.attacks)}. Give fewer --attacks, or run them anew together."
        )
    rng = np.random.default_rng(settings.seed)
    return sorted(rng.permutation(common)[: settings.images].tolist())


def _names(run: Run, images: Sequence[int]) -> dict[int, str]:
    """Return the names of images that have any."""
    found: dict[int, str] = {}
    for key in run.results.groups:
        left = [image for image in images if image not in found]
        if not left:
            break
        names = run.results.values(["name"], key, np.array(left, np.int64))["name"]
        found |= {image: name for image, name in zip(left, names, strict=True) if name}
    return found


def _measured(run: Run, settings: Settings, images: Sequence[int]) -> dict[tuple[str, int], Row]:
    """Return what the run measured of each attack × image, judged by the source itself."""
    names = ("fooled", "success", *run.results.float_columns)
    found = {}
    for attack in settings.attacks:
        key = (attack, settings.source, settings.source)
        rows = run.results.rows(names, key, np.array(images, np.int64))
        for image, row in rows.items():
            found[attack, image] = {name: row[name] for name in names}
    return found
