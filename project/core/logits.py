"""What a network must return, and what it returned instead in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from project.core.errors import InputError


def logits_of(output: object) -> Tensor:
    """Return a network's output, which must be the logits alone.

    Raises:
        InputError: if it is a tuple, a list, a dictionary or anything else but one tensor.
    """
    if isinstance(output, Tensor):
        return output
    raise InputError(
        f"the output must be one tensor of logits, got {output_told(output)}. Wrap the network so "
        "that it returns the logits alone."
    )


def output_told(output: object) -> str:
    """Return what an output is, such as a dictionary with its keys, in a few words."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, Mapping):  # ModelOutput of transformers is one
        return f"a dictionary with {', '.join(map(str, output)) or 'nothing'}"
    if isinstance(output, Sequence):
        return f"a {'tuple' if isinstance(output, tuple) else 'list'} of {len(output)}"
    return type(output).__name__
