"""Runs of segmenters by hand: counts of pixels by class, image by image."""

from pathlib import Path

import numpy as np

from project.report.run import Run
from project.statistics.miou import COLUMNS, Cell, mean_iou
from project.storage.rows import Measure
from tests.report.rows import results_of


def drawn_counts(rng, images, classes=4, right=0.7, labelled=None):
    """Counts (images, 3, classes) of pixels that are right with some chance."""
    labelled = rng.integers(0, 60, (images, classes)) if labelled is None else labelled
    correct = rng.binomial(labelled, right)
    wrong = (labelled - correct).sum(1)
    spread = np.stack([rng.multinomial(n, np.full(classes, 1 / classes)) for n in wrong])
    return np.stack([correct, correct + spread, labelled], 1)


def drawn_cells(seed=0, images=9, attacks=("pgd", "transegpgd"), names=("a", "b"), strength=None):
    """Cells of attacks × sources × victims, of the same labels and clean predictions."""
    rng = np.random.default_rng(seed)
    labelled = rng.integers(0, 60, (images, 4))
    clean = {name: drawn_counts(rng, images, right=0.8, labelled=labelled) for name in names}
    cells = {}
    for attack in attacks:
        for source in names:
            for victim in names:
                right = (strength or {}).get(attack, 0.4) + 0.2 * (source != victim)
                found = drawn_counts(rng, images, right=right, labelled=labelled)
                fooled = np.maximum(clean[victim][:, 0].sum(1) - found[:, 0].sum(1), 0)
                cells[attack, source, victim] = Cell(
                    np.arange(images), found, clean[victim], fooled, clean[victim][:, 0].sum(1)
                )
    return cells


def run_of(cells, **facts):
    """A run of cells, with the measures that they give."""
    measures = []
    for (attack, source, victim), cell in cells.items():
        clean = mean_iou(cell.clean.sum(0))
        if ("", "", victim) not in {measure[:3] for measure in measures}:
            measures.append(Measure("", "", victim, "clean_miou", float(clean)))
        found = float(mean_iou(cell.adversarial.sum(0)))
        measures.append(Measure(attack, source, victim, "miou", found, found - 0.01, found + 0.02))
    return Run(Path(), {"task": "segmentation", **facts}, results_of([]), measures, [], cells)


def counted(cell, place):
    """The columns of counts of one image's row."""
    (correct, predicted, labelled), clean = cell.adversarial[place], cell.clean[place]
    return dict(zip(COLUMNS, (correct, predicted, labelled, *clean), strict=True))


def slow_miou(counts):
    """Class by class, from summed counts (3, K)."""
    scores = []
    for correct, predicted, labelled in counts.T:
        union = predicted + labelled - correct
        if union > 0:
            scores.append(correct / union)
    return sum(scores) / len(scores)


def stacked(cells, attack, pairs):
    return np.stack([cells[attack, *pair].adversarial for pair in pairs], 1)
