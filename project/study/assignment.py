"""Assignment of pages to raters, so that every image × attack is judged equally often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, islice
from typing import Any, NamedTuple, TypeVar

import numpy as np

from project.study.designs import Design
from project.study.settings import Settings
from project.study.stimulus_kind import Panel

T = TypeVar("T")
Past = Counter[tuple[int, Panel]]
"""How often each image was assigned with each target, checks left out."""


class Page(NamedTuple):
    """One image's panels, from left to right."""

    image: int
    panels: list[Panel]


def deal(
    number: int, past: Past, images: Sequence[int], design: Design, settings: Settings
) -> list[Page]:
    """Return the pages of the rater who comes as the number-th, in the order to show them.

    The images assigned least so far come first, and of an image the targets assigned least; ties
    go to what this rater has least of, then by draw. So the targets of one image never differ by
    more than one, and a rater sees an image on one page only, except that checks reuse images where
    all are taken. The sequence follows from the seed alone [ours].

    Args:
        number: 0, 1, … in order of consent.
        past: what the raters before were assigned.
        images: ids of all images of the study.
        design: of the study.
        settings: of the study, with its attacks named.
    """
    rng = np.random.default_rng([settings.seed, number])
    count = design.candidates(settings)
    shown: Counter[int] = Counter()
    for (image, _), times in past.items():
        shown[image] += times
    chosen = _least(images, settings.pages, rng, shown.__getitem__)
    targets = _targets(chosen, count, past, design.targets(settings.attacks), rng)
    spare = _least(images, settings.checks, rng, lambda image: image in chosen)
    checked = list(islice(cycle(spare), settings.checks))
    checks = islice(cycle(design.checks), count * settings.checks)
    targets += [list(islice(checks, count)) for _ in checked]
    arranged = design.arranged(targets, rng)
    pages = [Page(*page) for page in zip([*chosen, *checked], arranged, strict=True)]
    return [pages[place] for place in rng.permutation(len(pages))]


def _targets(
    images: Iterable[int], count: int, past: Past, targets: list[Panel], rng: np.random.Generator
) -> list[list[Panel]]:
    """Return ``count`` different targets for each image."""
    own: Counter[Panel] = Counter()
    found = []
    for image in images:
        order = {target: (past[image, target], own[target]) for target in targets}
        found.append(_least(targets, count, rng, order.__getitem__))
        own.update(found[-1])
    return found


def _least(
    items: Sequence[T], count: int, rng: np.random.Generator, used: Callable[[T], Any]
) -> list[T]:
    """Return the ``count`` items used least, ties drawn."""
    shuffled = [items[k] for k in rng.permutation(len(items))]
    return sorted(shuffled, key=used)[:count]
