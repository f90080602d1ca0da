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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from project.report.columns import column, perceptual
from project.report.comparison.pareto import by_budget
from project.report.comparison.success import POOLED
from project.report.comparison.white_box import family
from project.report.run import Row, Run, judged
from project.statistics.bootstrap import Floats
from project.statistics.frontier import drawn_sums
from project.statistics.miou import Cell, image_iou, mean_iou
from project.storage import layout

UNBOUNDED = "psnr"
"""Infinite for the unchanged image, where every frontier begins; MSE says the same."""


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
    metrics = [name for name in perceptual(run.float_columns) if name != UNBOUNDED]
    if not pairs or not metrics or not _counted(run, attacks, pairs):
        return None
    wanted, kept = set(attacks), _images(run)
    rows = [
        row
        for row in run.rows
        if row["attack"] in wanted and (row["source"], row["victim"]) in pairs
        if row["index"] in kept and (run.task == "segmentation" or judged(row))
    ]
    place = {index: k for k, index in enumerate(sorted({row["index"] for row in rows}))}
    if not place:
        return None
    by_attack: dict[str, list[Row]] = {attack: [] for attack in attacks}
    for row in rows:
        by_attack[row["attack"]].append(row)
    victims = [v for v in run.victims if any(victim == v for _, victim in pairs)]
    reached = {
        (attack, target): found
        for attack in attacks
        for target, found in _reached(run, by_attack[attack], place, victims, metrics).items()
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
        images=len(place),
        passes={attack: _passes(run, attack, by_attack[attack]) for attack in attacks},
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


def _images(run: Run) -> set[int]:
    """Return the images that count: of classifiers those that every victim gets right."""
    every = {row["index"] for row in run.rows}
    if run.task == "segmentation":
        return every
    return every - {row["index"] for row in run.rows if not row["clean_correct"]}


def _reached(
    run: Run,
    rows: Sequence[Row],
    place: Mapping[int, int],
    victims: Sequence[str],
    metrics: Sequence[str],
) -> dict[str, Reached]:
    """Return what one attack reaches, by target; its draws are those of every other attack."""
    seen = {victim: np.zeros((len(place), len(metrics), 2)) for victim in victims}
    scored = {victim: np.zeros((len(place), 2)) for victim in victims}
    for row in rows:
        at = place[row["index"]]
        values = np.array([_number(row.get(name)) for name in metrics])
        known = np.isfinite(values)
        seen[row["victim"]][at] += np.stack([np.where(known, values, 0.0), known], 1)
        if run.task == "classification":
            scored[row["victim"]][at] += (float(row["fooled"]), 1.0)
    rates = (
        {"transfer": _drawn_shares(scored, victims)}
        if run.task == "classification"
        else _drawn_losses(run, rows, place, victims)
    )
    found = {}
    for target in (*victims, *([POOLED] if len(victims) > 1 else [])):
        members = victims if target == POOLED else [target]
        sums = drawn_sums(sum(seen[name] for name in members).reshape(len(place), -1))  # type: ignore[union-attr]
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


def _drawn_shares(scored: Mapping[str, Floats], victims: Sequence[str]) -> dict[str, Floats]:
    """Return the share of hits by target, from (images, 2) of hits and judged images each."""
    sums = {name: drawn_sums(scored[name]) for name in victims}
    sums[POOLED] = np.sum([sums[name] for name in victims], axis=0)
    return {name: _divided(found[:, 0], found[:, 1]) for name, found in sums.items()}


def _drawn_losses(
    run: Run, rows: Sequence[Row], place: Mapping[int, int], victims: Sequence[str]
) -> dict[str, dict[str, Floats]]:
    """Return the shares of mIoU and of mean IoU per image that are lost, by target.

    Of several pairs of source and victim the means are compared, of all clean ones with those of
    all under attack.
    """
    keys = dict.fromkeys((row["attack"], row["source"], row["victim"]) for row in rows)
    by_victim: dict[str, list[tuple[Floats, Floats]]] = {victim: [] for victim in victims}
    for key in keys:
        by_victim[key[2]].append(_scores(run.cells[key], place))
    pooled = [scores for victim in victims for scores in by_victim[victim]]
    losses: dict[str, dict[str, Floats]] = {"miou_lost": {}, "image_iou_lost": {}}
    for target, found in (*by_victim.items(), (POOLED, pooled)):
        for k, name in enumerate(losses):
            clean, attacked = np.mean([scores[k] for scores in found], axis=0).T
            losses[name][target] = _divided(clean - attacked, clean)
    return losses


def _scores(cell: Cell, place: Mapping[int, int]) -> tuple[Floats, Floats]:
    """Return a pair's mIoU and its mean IoU per image, (draws, 2) of clean and attacked each."""
    both = np.stack([cell.clean, cell.adversarial], 1).astype(np.float64)
    sums = drawn_sums(both.reshape(len(place), -1)).reshape(-1, *both.shape[1:])
    single = image_iou(both)
    known = np.isfinite(single)
    parts = np.concatenate([np.where(known, single, 0.0), known], 1)
    totals = drawn_sums(parts)
    return mean_iou(sums), _divided(totals[:, :2], totals[:, 2:])


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _passes(run: Run, attack: str, rows: Sequence[Row]) -> float:
    """Return an attack's mean number of passes per image, at most.

    The rows' steps are those that led to the image. A gradient attack has made no others. A flow
    attack keeps the best of its iterates, and has made all its steps unless the image left at its
    first success. A step of any other attack is no pass, such as a query of Square.
    """
    told = (run.facts.get("attacks") or {}).get(attack) or {}
    kind, most = told.get("kind"), told.get("steps")
    if kind not in ("gradient", "flow") or (kind == "flow" and most is None):
        return float("nan")
    leaves = kind == "gradient" or told.get("early_stop", True)
    made = [
        row["steps"] if leaves and (kind == "gradient" or row["success"]) else most for row in rows
    ]
    known = [steps for steps in made if steps is not None]
    return float(np.mean(known) * told.get("passes_per_step", 1)) if known else float("nan")


def _divided(above: Floats, below: Floats) -> Floats:
    result: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return result
