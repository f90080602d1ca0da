"""How a victim's copy is made faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "bfloat16"]
Compile = Literal["off", "default", "reduce-overhead"]


@dataclass(frozen=True)
class Acceleration:
    """How a victim's copy is made faster. What changes no more than rounding is on by default.

    Which options pay depends on network and machine: ``benchmarks/victim_options.py`` tells. They
    are not chosen by the clock during a run, since the images would then follow from it.

    Attributes:
        fold: put each BatchNorm into the convolution right before it.
        channels_last: lay weights, and with them all that convolutions make, out with the channels
            last.
        precision: of convolutions and matrix products; perturbations and logits stay float32.
        compile: torch.compile's mode; ``reduce-overhead`` is CUDA graphs. Each batch size is
            compiled for itself. While someone looks into the victim's layers (FSPGD, GradCAM) it
            runs uncompiled.
        checkpoint: keep only what enters a block for the backward pass, and compute the rest
            again there: less memory, a forward pass more.
    """

    fold: bool = True
    channels_last: bool = True
    precision: Precision = "float32"
    compile: Compile = "off"
    checkpoint: bool = False
