"""Options for making a victim's copy faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "bfloat16"]
Compile = Literal["off", "default", "reduce-overhead"]


@dataclass(frozen=True)
class Acceleration:
    """How a victim's copy is made faster. Options that change only rounding are on by default.

    Which options pay depends on network and machine; ``benchmarks/victim_options.py`` measures it.
    They are not chosen by timing during a run, since the images would then depend on the timing.

    Attributes:
        fold: fold each BatchNorm into the convolution right before it.
        channels_last: memory layout of weights, and so of all outputs of convolutions, with the
            channels last.
        precision: precision of convolutions and matrix products; perturbations and logits stay
            float32.
        compile: torch.compile's mode; ``reduce-overhead`` is CUDA graphs. Each batch size is
            compiled separately. While hooks observe the victim's layers (FSPGD, GradCAM) it runs
            uncompiled.
        checkpoint: store only the inputs of blocks for the backward pass, and recompute the rest
            there: less memory, one more forward pass.
    """

    fold: bool = True
    channels_last: bool = True
    precision: Precision = "float32"
    compile: Compile = "off"
    checkpoint: bool = False
