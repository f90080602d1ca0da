"""Families of attacks over budgets, with their rates of transfer and visibilities, image by image.

Rates, by their names in frontier.csv
    transfer          of classifiers: the share of images that are wrong after the attack, of those
                      that every victim gets right
    miou_lost         of segmenters: the share of the clean mIoU that the attack takes, both of the
                      data set's pixels
    image_iou_lost    the same of the mean over images of the IoU of the classes that are in the
                      image's truth, which varies less from one set of images to another
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from project.report.columns import column, perceptual
from project.report.comparison.pareto import by_budget
from project.report.comparison.success import POOLED
from project.report.comparison.white_box import family
from project.report.run import Run
from project.report.run_rows import Columns, Indices, of_images
from project.statistics.bootstrap import Floats, Times, drawn_times
from project.statistics.frontier import drawn_sums
from project.statistics.miou import Cell, Key, image_iou, mean_iou
from project.storage import layout

UNBOUNDED = "psnr"
"""Infinite for the unchanged image, where every frontier begins; MSE says the same."""
_DRAWN_ONCE = 100_000  # images; how often each resample holds each of them is then 200 MB


@dataclass(frozen=True)
class Reached:
    """What one attack reaches on a victim, or on all: sample and resamples, (draws,) each.

    Attributes:
        rates: by name, see above.
        visibility: by metric, a mean over the attacked images; 1 − the metric where 1 is the
            unchanged image.
    """

    rates: dict[str, Floats]
    visibility: dict[str, Floats]


@dataclass(frozen=True)
class Families:
    """Families of attacks, made on the same sources and judged on the same images.

    Attributes:
        attacks: by family the names of its attacks, by rising budget.
        targets: victims that judge, then :data:`POOLED` where they are several.
        rates: names, see above.
        metrics: of visibility.
        images: how many different ones.
        passes: by attack, how often an image is shown to its source, forwards and backwards, at
            most: the mean of its steps, times what a step asks; NaN where that is not known.
        reached: by attack and target.
    """

    attacks: dict[str, list[str]]
    targets: list[str]
    rates: list[str]
    metrics: list[str]
    images: int
    passes: dict[str, float]
    reached: dict[tuple[str, str], Reached]

    @property
    def target(self) -> str:
        """Who the tables are about: all victims together, or the only one."""
        return self.targets[-1]


def families(run: Run) -> Families | None:
    """Return a run's families; None without a family of two budgets, or without transfer."""
    groups: dict[str, list[str]] = {}
    for attack in run.attacks:
        name, budget = family(attack)
        if budget is not None:
            groups.setdefault(name, []).append(attack)
    groups = {name: by_budget(attacks) for name, attacks in groups.items() if len(attacks) > 1}
    attacks = [attack for members in groups.values() for attack in members]
    pairs = _pairs(run, attacks)
    metrics = [name for name in perceptual(run.results.float_columns) if name != UNBOUNDED]
    if not pairs or not metrics or not _counted(run, attacks, pairs):
        return None
    judged = _Judged(run, attacks, pairs, _images(run))
    if not len(judged.images):
        return None
    victims = [v for v in run.victims if any(victim == v for _, victim in pairs)]
    reached = {
        (attack, target): found
        for attack in attacks
        for target, found in _reached(judged, attack, victims, metrics).items()
    }
    # A metric that an attack lacks (of images too small, say) draws no curve.
    known = [m for m in metrics if not any(np.isnan(r.visibility[m][0]) for r in reached.values())]
    if not known:
        return None
    return Families(
        attacks=groups,
        targets=[*victims, *([POOLED] if len(victims) > 1 else [])],
        rates=list(next(iter(reached.values())).rates),
        metrics=known,
        images=len(judged.images),
        passes={attack: _passes(judged, attack) for attack in attacks},
        reached=reached,
    )


def _pairs(run: Run, attacks: Sequence[str]) -> set[tuple[str, str]]:
    """Return the (source, victim) of every attack that share no network."""
    found = [
        {
            (source, victim)
            for source in run.sources(attack)
            for victim in run.victims
            if run.transfers(source, victim)
        }
        for attack in attacks
    ]
    return set.intersection(*found) if found else set()


def _counted(run: Run, attacks: Sequence[str], pairs: set[tuple[str, str]]) -> bool:
    """Return whether segmenters' rows have counts of pixels by class, as those of all but old runs.

    Raises:
        ValueError: if not all victims judged the same images.
    """
    if run.task == "classification":
        return True
    keys = [(attack, *pair) for attack in attacks for pair in pairs]
    if not all(key in run.cells for key in keys):
        return False
    indices = [run.cells[key].index for key in keys]
    if any(not np.array_equal(index, indices[0]) for index in indices):
        raise ValueError(
            f"every victim must have judged the same images; {layout.ROWS} is not whole."
        )
    return True


def _images(run: Run) -> Indices:
    """Return the images that count: of classifiers those that every victim gets right."""
    if run.task == "segmentation":
        return run.results.indices
    wrong = []
    for key in run.results.groups:
        found = run.results.columns(["clean_correct"], key)
        wrong.append(found.index[~(found["clean_correct"] > 0)])
    return np.setdiff1d(run.results.indices, of_images(wrong), assume_unique=True)


@dataclass(frozen=True)
class _Judged:
    """The rows that count, group by group.

    Attributes:
        run: the run.
        attacks: of all families.
        pairs: of source and victim that every attack has.
        kept: ids of the images that may count.
    """

    run: Run
    attacks: Sequence[str]
    pairs: set[tuple[str, str]]
    kept: Indices

    def groups(self, attack: str) -> Iterator[Key]:
        """Yield the groups of an attack, in the rows' order."""
        return (k for k in self.run.results.groups if k[0] == attack and k[1:] in self.pairs)

    def columns(self, names: Sequence[str], key: Key) -> Columns:
        """Return columns of a group at the rows that count."""
        found = self.run.results.columns((*names, "clean_correct", "fooled"), key)
        counts = np.isin(found.index, self.kept)
        if self.run.task == "classification":
            counts &= (found["clean_correct"] > 0) & ~np.isnan(found["fooled"])
        return Columns(found.index[counts], {k: v[counts] for k, v in found.values.items()})

    @cached_property
    def images(self) -> Indices:
        """Ids of the images that count in any group, ascending: the axis of all sums."""
        keys = (key for attack in self.attacks for key in self.groups(attack))
        return of_images(self.columns((), key).index for key in keys)

    @cached_property
    def times(self) -> Sequence[Times] | None:
        """How often each resample holds each image; None where that is too much to keep."""
        return list(drawn_times(len(self.images))) if len(self.images) <= _DRAWN_ONCE else None

    def sums(self, columns: Floats) -> Floats:
        """Return sums over the sample and its resamples, see :func:`drawn_sums`."""
        return drawn_sums(columns, self.times)

    def place(self, index: Indices) -> NDArray[np.int64]:
        """Return the places of some images on the axis of all sums."""
        return np.searchsorted(self.images, index)


def _reached(
    judged: _Judged, attack: str, victims: Sequence[str], metrics: Sequence[str]
) -> dict[str, Reached]:
    """Return what one attack reaches, by target; its draws are those of every other attack."""
    images, segmented = len(judged.images), judged.run.task == "segmentation"
    seen = {victim: np.zeros((images, len(metrics), 2)) for victim in victims}
    scored = {victim: np.zeros((images, 2)) for victim in victims}
    for key in judged.groups(attack):
        rows = judged.columns(metrics, key)
        at = judged.place(rows.index)
        for k, metric in enumerate(metrics):
            known = np.isfinite(rows[metric])
            seen[key[2]][at, k, 0] += np.where(known, rows[metric], 0.0)
            seen[key[2]][at, k, 1] += known
        if not segmented:
            scored[key[2]][at, 0] += rows["fooled"]
            scored[key[2]][at, 1] += 1.0
    rates = (
        _drawn_losses(judged, attack, victims)
        if segmented
        else {"transfer": _drawn_shares(judged, scored, victims)}
    )
    found = {}
    for target in (*victims, *([POOLED] if len(victims) > 1 else [])):
        members = victims if target == POOLED else [target]
        sums = judged.sums(sum(seen[name] for name in members).reshape(images, -1))  # type: ignore[union-attr]
        totals, counts = np.moveaxis(sums.reshape(len(sums), len(metrics), 2), 2, 0)
        means = _divided(totals, counts)
        found[target] = Reached(
            rates={name: drawn[target] for name, drawn in rates.items()},
            visibility={
                name: means[:, k] if column(name).better == "lower" else 1 - means[:, k]
                for k, name in enumerate(metrics)
            },
        )
    return found


def _drawn_shares(
    judged: _Judged, scored: Mapping[str, Floats], victims: Sequence[str]
) -> dict[str, Floats]:
    """Return the share of hits by target, from (images, 2) of hits and judged images each."""
    sums = {name: judged.sums(scored[name]) for name in victims}
    sums[POOLED] = np.sum([sums[name] for name in victims], axis=0)
    return {name: _divided(found[:, 0], found[:, 1]) for name, found in sums.items()}


def _drawn_losses(
    judged: _Judged, attack: str, victims: Sequence[str]
) -> dict[str, dict[str, Floats]]:
    """Return the shares of mIoU and of mean IoU per image that are lost, by target.

    Of several pairs of source and victim the means are compared, of all clean ones with those of
    all under attack.
    """
    by_victim: dict[str, list[tuple[Floats, Floats]]] = {victim: [] for victim in victims}
    for key in judged.groups(attack):
        by_victim[key[2]].append(_scores(judged, judged.run.cells[key]))
    pooled = [scores for victim in victims for scores in by_victim[victim]]
    losses: dict[str, dict[str, Floats]] = {"miou_lost": {}, "image_iou_lost": {}}
    for target, found in (*by_victim.items(), (POOLED, pooled)):
        for k, name in enumerate(losses):
            clean, attacked = np.mean([scores[k] for scores in found], axis=0).T
            losses[name][target] = _divided(clean - attacked, clean)
    return losses


def _scores(judged: _Judged, cell: Cell) -> tuple[Floats, Floats]:
    """Return a pair's mIoU and its mean IoU per image, (draws, 2) of clean and attacked each."""
    both = np.stack([cell.clean, cell.adversarial], 1).astype(np.float64)
    sums = judged.sums(both.reshape(len(judged.images), -1)).reshape(-1, *both.shape[1:])
    single = image_iou(both)
    known = np.isfinite(single)
    parts = np.concatenate([np.where(known, single, 0.0), known], 1)
    totals = judged.sums(parts)
    return mean_iou(sums), _divided(totals[:, :2], totals[:, 2:])


def _passes(judged: _Judged, attack: str) -> float:
    """Return an attack's mean number of passes per image, at most.

    The rows' steps are those that led to the image. A gradient attack has made no others. A flow
    attack keeps the best of its iterates, and has made all its steps unless the image left at its
    first success. A step of any other attack is no pass, such as a query of Square.
    """
    told = (judged.run.facts.get("attacks") or {}).get(attack) or {}
    kind, most = told.get("kind"), told.get("steps")
    if kind not in ("gradient", "flow") or (kind == "flow" and most is None):
        return float("nan")
    leaves = kind == "gradient" or told.get("early_stop", True)
    made = [np.zeros(0)]
    for key in judged.groups(attack):
        found = judged.columns(["steps", "success"], key)
        own = (found["success"] > 0) | (kind == "gradient")
        made.append(np.where(own & bool(leaves), found["steps"], np.nan if most is None else most))
    known = np.concatenate(made)
    known = known[~np.isnan(known)]
    return float(np.mean(known) * told.get("passes_per_step", 1)) if len(known) else float("nan")


def _divided(above: Floats, below: Floats) -> Floats:
    result: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return result
