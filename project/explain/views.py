"""The source's predictions: a classifier's likeliest classes, a segmenter's worst classes."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from project.core.answers import answered, predicted_classes
from project.core.losses import VOID
from project.explain.again import Again
from project.report.numbers import percent

_SHOWN = 5


def view(again: Again) -> list[str]:
    """Return the source's predictions as lines of text."""
    if again.target.ndim:
        return _pixels(again)
    return _likeliest(again)


def _likeliest(again: Again) -> list[str]:
    """Return the likeliest classes of both images side by side, the true one marked."""
    columns = [_top(logits, again) for logits in (again.clean, again.adversarial)]
    width = max(len(text) for text in columns[0])
    head = f"    {'clean':{width}}   adversarial"
    sides = zip(*columns, strict=True)
    return [head, *(f"{k:3} {left:{width}}   {right}" for k, (left, right) in enumerate(sides, 1))]


def _top(logits: Tensor, again: Again) -> list[str]:
    if not answered(logits[None]):
        return ["  no prediction: NaN or infinite logits"] * min(_SHOWN, len(logits))
    top = logits.softmax(0).topk(min(_SHOWN, len(logits)))
    names = [again.class_names[k] for k in top.indices.tolist()]
    width = max(map(len, again.class_names)) if len(again.class_names) < 50 else 28
    marks = ["*" if k == int(again.target) else " " for k in top.indices.tolist()]
    return [
        f"{mark} {name:{width}.{width}} {percent(share):>7}"
        for mark, name, share in zip(marks, names, top.values.tolist(), strict=True)
    ]


def _pixels(again: Again) -> list[str]:
    """Return pixel accuracies before and after, of all pixels and of the classes that lost most.

    Void pixels are not counted.
    """
    valid = again.target != VOID
    there = sorted(set(again.target[valid].tolist()))
    classes = [_Share.of(again, again.class_names[k], again.target == k) for k in there]
    lost = sorted(classes, key=lambda one: one.after - one.before)
    shown = [_Share.of(again, "all pixels", valid), *lost[:_SHOWN]]
    width = max(len(one.name) for one in shown)
    return [
        f"    {'right pixels':{width}}     clean   adversarial",
        *(one.line(width) for one in shown),
    ]


class _Share(NamedTuple):
    """The pixel accuracy before and after the attack on some pixels."""

    name: str
    pixels: int
    before: float
    after: float

    @classmethod
    def of(cls, again: Again, name: str, where: Tensor) -> _Share:
        """Count the pixels of a (H, W) mask."""
        both = (again.clean, again.adversarial)
        right = [predicted_classes(logits[None])[0] == again.target for logits in both]
        before, after = (one[where].double().mean().item() for one in right)
        return cls(name, int(where.sum()), before, after)

    def line(self, width: int) -> str:
        """Return the accuracies as a line of text."""
        shares = f"{percent(self.before):>9}   {percent(self.after):>11}"
        return f"    {self.name:{width}} {shares}   of {self.pixels:,}"
