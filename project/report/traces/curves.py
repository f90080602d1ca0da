"""One trace over the steps: the images' median and quartiles, and some images on their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from project.statistics.bootstrap import Floats
from project.storage.traces import Trace


@dataclass(frozen=True)
class Curve:
    """A trace over T steps, NaN where no image has anything to tell.

    Attributes:
        name: of the trace.
        low: (T,), the lower quartile over images.
        middle: (T,), the median.
        high: (T,), the upper quartile.
        single: (images, T), those of some images.
    """

    name: str
    low: Floats
    middle: Floats
    high: Floats
    single: Floats

    @property
    def constant(self) -> bool:
        """Whether all images have the same value at all steps."""
        ends = self.low, self.high
        told = [end[np.isfinite(end)] for end in ends]
        return bool(told[0].size) and float(told[0].min()) == float(told[1].max())


def curve(name: str, traces: Sequence[Trace], shown: Collection[int]) -> Curve:
    """Sum up one trace of an attack on a source.

    Args:
        name: of the trace.
        traces: of all images.
        shown: the images to show on their own.
    """
    values = table(name, traces)
    quartiles = np.full((3, values.shape[1]), np.nan)
    told = np.isfinite(values).any(0)  # numpy warns of a step that no image tells of
    quartiles[:, told] = np.nanquantile(values[:, told], [0.25, 0.5, 0.75], axis=0)
    chosen = [trace.index in shown for trace in traces]
    low, middle, high = quartiles
    return Curve(name, low, middle, high, values[chosen])


def second_stage(traces: Sequence[Trace]) -> Floats:
    """Return the share of images in stage 2 at each step, (T,); 0 where there are no stages."""
    stages = table("stage", traces)
    told = np.isfinite(stages)
    second: Floats = np.where(told, stages - 1, 0.0).sum(0)
    share: Floats = second / np.maximum(told.sum(0), 1)
    return share


def table(name: str, traces: Sequence[Trace]) -> Floats:
    """Return a trace of all images, (images, T), NaN where there is nothing to tell."""
    values = np.full((len(traces), max(trace.steps for trace in traces)), np.nan)
    for row, trace in zip(values, traces, strict=True):
        told = trace.values.get(name, ())
        row[: len(told)] = told
    return values
