"""Segmentation scores from counts of pixels per class, which add up over images.

Convention
    counts   (..., 3, K): pixels predicted right, predicted, and labelled, by class; valid ones with
             a prediction only
    cell     one victim's counts on one attack's images made on one source, image by image
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[Any]
Key = tuple[str, str, str]
"""Attack, source, victim."""

COLUMNS = (
    *("correct_by_class", "predicted_by_class", "labelled_by_class"),
    *("clean_correct_by_class", "clean_predicted_by_class", "clean_labelled_by_class"),
)
"""The rows' columns of counts: the image as it was attacked, then the clean one's."""
NUMBERS = ("index", *COLUMNS, "fooled_pixels", "judged_pixels")
"""The columns that a :class:`Cell` is made of."""
LATER = {"clean_labelled_by_class": "labelled_by_class", "judged_pixels": "clean_correct_pixels"}
"""Columns that older runs lack, and what is the same where every pixel has a prediction."""


class Scores(NamedTuple):
    """Scores from sums over images, all of one shape and in [0, 1]; NaN where nothing is valid.

    Attributes:
        miou: of the adversarial images.
        miou_drop: clean minus that.
        pixel_accuracy: of the adversarial images.
        fooled_pixels: share of the pixels right when clean, and with a prediction now, that are
            wrong now.
        clean_miou: of the clean images.
        clean_pixel_accuracy: likewise.
    """

    miou: Counts
    miou_drop: Counts
    pixel_accuracy: Counts
    fooled_pixels: Counts
    clean_miou: Counts
    clean_pixel_accuracy: Counts


@dataclass(frozen=True)
class Cell:
    """One victim's pixel counts by class on one attack's images.

    Attributes:
        index: (N,), the images, ascending.
        adversarial: counts (N, 3, K).
        clean: likewise, of the images before the attack.
        fooled: (N,), pixels right when clean and wrong now.
        judged: (N,), pixels right when clean and with a prediction now.
    """

    index: NDArray[Any]
    adversarial: Counts
    clean: Counts
    fooled: Counts
    judged: Counts

    @classmethod
    def of(cls, rows: Mapping[str, Counts]) -> Cell:
        """Return the cell of some rows.

        Args:
            rows: column by column: those of :data:`COLUMNS`, (N, K) each, and ``index``, ascending,
                ``fooled_pixels`` and ``judged_pixels``, (N,).
        """
        return cls(
            index=rows["index"],
            adversarial=np.stack([rows[name] for name in COLUMNS[:3]], 1),
            clean=np.stack([rows[name] for name in COLUMNS[3:]], 1),
            fooled=rows["fooled_pixels"],
            judged=rows["judged_pixels"],
        )

    @cached_property
    def columns(self) -> NDArray[np.float64]:
        """All counts as (N, 6 K + 2), what :func:`scores` takes the sums of."""
        parts = (self.adversarial, self.clean, self.fooled, self.judged)
        flat = [part.reshape(len(self.index), -1) for part in parts]
        return np.concatenate(flat, 1).astype(np.float64)


def mean_iou(counts: Counts) -> Counts:
    r"""Return $$\frac{1}{|S|} \sum_{k \in S} TP_k / (TP_k + FP_k + FN_k)$$, (...).

    S are the classes that are present or predicted; NaN where there is none.

    Args:
        counts: (..., 3, K).
    """
    correct, predicted, labelled = np.moveaxis(counts, -2, 0)
    union = predicted + labelled - correct
    # Of one memory order whatever the counts have, so that equal counts give equal bits.
    iou = np.divide(correct, union, out=np.zeros(union.shape), where=union > 0)
    return _share(iou.sum(-1), (union > 0).sum(-1))


def image_iou(counts: Counts) -> Counts:
    r"""Return the mean IoU of the classes that are in an image's truth, (...).

    NaN of an image without any. Its mean over images has about a third of the noise of the data
    set's mIoU, in which a class that few images hold weighs as much as any other [ours].

    Args:
        counts: (..., 3, K), of single images.
    """
    correct, predicted, labelled = np.moveaxis(counts, -2, 0)
    union = predicted + labelled - correct
    iou = np.divide(correct, union, out=np.zeros(union.shape), where=labelled > 0)
    return _share(iou.sum(-1), (labelled > 0).sum(-1))


def scores(sums: Counts) -> Scores:
    """Return the scores of sums (..., 6 K + 2) of :attr:`Cell.columns`."""
    adversarial, clean = (
        part.reshape(*sums.shape[:-1], 3, -1) for part in np.split(sums[..., :-2], 2, -1)
    )
    miou, clean_miou = mean_iou(adversarial), mean_iou(clean)
    right_before = clean[..., 0, :].sum(-1)
    return Scores(
        miou=miou,
        miou_drop=clean_miou - miou,
        pixel_accuracy=_share(adversarial[..., 0, :].sum(-1), adversarial[..., 2, :].sum(-1)),
        fooled_pixels=_share(sums[..., -2], sums[..., -1]),
        clean_miou=clean_miou,
        clean_pixel_accuracy=_share(right_before, clean[..., 2, :].sum(-1)),
    )


def _share(part: Counts, whole: Counts) -> Counts:
    """Return part / whole, NaN where the whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    share: Counts = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return share
