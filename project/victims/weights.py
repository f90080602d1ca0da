"""Strict loading of weight files of any origin, with errors that name the keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from project.core.errors import InputError, first_line, out_of_memory
from project.core.whole_files import require_whole

# Prefixes that wrappers put before the network's own keys: DataParallel, torch.compile, common
# LightningModules, and ours (a LightningModule holds `victim`, a victim holds `network`).
_PREFIXES = ("module.", "_orig_mod.", "victim.", "network.", "encoder.", "model.", "net.")
_COUNTER = "num_batches_tracked"  # not a weight: BatchNorm's counter, which eval mode ignores


class WeightsError(InputError):
    """A weight file is missing, unreadable, or does not fit the network."""


def load_weights(network: nn.Module, checkpoint: str | Path) -> None:
    """Load a weight file into a network, strictly: names and shapes must match without remainder.

    Args:
        network: the network, which keeps its dtype (float16 files load into float32).
        checkpoint: ``.safetensors``, ``.pth``/``.pt`` or a Lightning ``.ckpt``. ``~`` and
            ``${NAME}`` (an environment variable) are expanded.

    Raises:
        WeightsError: if the file is missing, unreadable, or differs in a key or a shape.
    """
    path = resolve(checkpoint)
    expected = network.state_dict()
    state = strip_prefix(read_weights(path), expected)
    _require_fit(state, expected, path)
    _assign(network, state)


def load_encoder_weights(encoder: nn.Module, checkpoint: str | Path) -> None:
    """Load the weight file of a classifier or segmenter into an encoder, without the head.

    Args:
        encoder: the network without head; if all of it is in its attribute ``model``, as in smp's
            timm encoders, the names start there.
        checkpoint: as for :func:`load_weights`.

    Raises:
        WeightsError: if the file is missing or lacks a weight of the encoder.
    """
    path = resolve(checkpoint)
    expected = encoder.state_dict()
    state = read_weights(path)
    if expected and all(key.startswith("model.") for key in expected):  # timm encoders of smp
        encoder = encoder.get_submodule("model")
        expected = encoder.state_dict()
    state = strip_prefix(state, expected)
    kept = {key: value for key, value in state.items() if key in expected}
    _require_fit(kept, expected, path)
    _assign(encoder, kept)


def resolve(checkpoint: str | Path) -> Path:
    """Expand ``~`` and environment variables in a path and require the file to exist.

    Raises:
        WeightsError: if a variable is not set or the file does not exist.
    """
    expanded = os.path.expandvars(os.path.expanduser(str(checkpoint)))
    if "$" in expanded:
        raise WeightsError(
            f"checkpoint {str(checkpoint)!r} names an environment variable that is not set. "
            "Set it to the folder of your weight files (export MIRAGE_WEIGHTS=/path/to/weights), "
            "or give a plain path."
        )
    path = Path(expanded)
    if not path.is_file():
        raise WeightsError(
            f"checkpoint {expanded!r} must be a file, found "
            f"{'a folder' if path.is_dir() else 'nothing there'}. "
            "Train it with train.py, put the file there, or correct the path "
            f"(relative paths start at {str(Path.cwd())!r})."
        )
    return path


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a weight file as a flat dictionary of tensors, half precision as float32.

    Raises:
        WeightsError: if the file is damaged or does not hold weights.
    """
    try:
        require_whole(path)
        if path.suffix == ".safetensors":
            payload: Any = load_file(path)
        else:
            payload = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged pickle raises depends on its bytes
        if out_of_memory(error):
            raise WeightsError(
                f"memory ran out while {str(path)!r} was read ({first_line(error)}). Free some; "
                "or the file is damaged, and claims more than it holds: copy it again."
            ) from error
        raise WeightsError(
            f"{str(path)!r} is not a readable weight file ({first_line(error)}). "
            "Weights must be .safetensors or a state_dict that torch.load(weights_only=True) "
            "accepts: copy the file again, or save model.state_dict() anew."
        ) from error
    for key in ("state_dict", "model_state_dict"):
        if isinstance(payload, Mapping) and isinstance(payload.get(key), Mapping):
            payload = payload[key]
    if not isinstance(payload, Mapping):
        raise WeightsError(
            f"{str(path)!r} must hold a state_dict, got a {type(payload).__name__}. "
            "Save model.state_dict()."
        )
    tensors = {key: value for key, value in payload.items() if isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{str(path)!r} holds no tensor at all. Save model.state_dict().")
    return {key: _widen(value) for key, value in tensors.items()}


def strip_prefix(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the wrapper's prefix under which most of the expected keys are found.

    Keys outside that prefix belong to the wrapper (a loss, a metric) and are dropped with it;
    without a prefix nothing is dropped.
    """
    candidates = {""}
    for key in state:
        prefix = ""
        for part in key.split("."):
            if f"{part}." not in _PREFIXES:
                break
            prefix += f"{part}."
            candidates.add(prefix)
    # Sorted by length, since max returns the first of ties: then the shortest prefix.
    best = max(
        sorted(candidates, key=len),
        key=lambda prefix: sum(prefix + key in state for key in expected),
    )
    return {key.removeprefix(best): value for key, value in state.items() if key.startswith(best)}


def _require_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    # Names must match exactly: a missing weight would stay random, and an unexpected one tells of
    # another architecture; either gives a victim that runs, and wrong numbers.
    missing = [key for key in expected if key not in state and not key.endswith(_COUNTER)]
    unexpected = [key for key in state if key not in expected]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    lists = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    found = [
        f"{len(keys)} {name} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
        for name, keys in lists.items()
        if keys
    ]
    if found:
        raise WeightsError(
            f"weights {str(path)!r} do not fit the network: of {len(expected)} keys "
            f"{'; '.join(found)}. Check architecture or encoder, num_classes and model_args."
        )


def _assign(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy the weights into the network; a counter that the file lacks is not changed."""
    network.load_state_dict({**network.state_dict(), **state})


def _widen(value: Tensor) -> Tensor:
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
