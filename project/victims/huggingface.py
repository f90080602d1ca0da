"""Checkpoints of Hugging Face transformers: their network, labels and preprocessing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from project.core.errors import InputError, first_line, let_memory_errors_pass
from project.core.packages import imported
from project.victims.hub import checkpoint_folder, require_classes, require_normalisation
from project.victims.victim import Channels, Interpolation
from project.victims.weights import WeightsError

_REMEDY = "pip install 'mirage-attacks[hf]'"
_WEIGHTS = ("*.safetensors", "*.bin")
_PREPROCESSING = "preprocessor_config.json"
_BILINEAR = 2  # pillow's number
_SIDE = 128  # of an image for networks that take any


class HuggingFaceCheckpoint(NamedTuple):
    """What a folder of transformers holds, read with none of the code that it may name."""

    network: nn.Module
    kind: str  # such as vit, segformer, mask2former
    labels: dict[int, str]
    mean: Channels
    std: Channels
    side: int | None  # of the square that the network was made for; None keeps the shape
    interpolation: Interpolation
    multiple: int  # heights and widths are multiples of it


class _Preprocessing(NamedTuple):
    mean: Channels
    std: Channels
    side: int | None
    interpolation: Interpolation
    multiple: int


def read_checkpoint(
    victim: str,
    checkpoint: str | Path,
    revision: str | None,
    auto_classes: Sequence[str],
    num_classes: int | None,
    mean: Channels | None,
    std: Channels | None,
) -> HuggingFaceCheckpoint:
    """Read a checkpoint as saved by ``save_pretrained`` or published on the hub.

    Args:
        victim: who asks, for messages.
        checkpoint: a folder or a hub name; see :func:`checkpoint_folder`.
        revision: of the hub.
        auto_classes: of transformers, the first that knows the checkpoint's kind loads it.
        num_classes: that are expected; None takes the checkpoint's.
        mean: that is expected, per channel in [0, 1] units; None takes the processor's.
        std: likewise.

    Raises:
        InputError: if transformers is not installed, the kind or the preprocessing is not
            supported, or differs from what is expected.
        WeightsError: if the checkpoint cannot be fetched or read, or does not fit its network.
    """
    library = imported("transformers", victim, _REMEDY)
    folder = checkpoint_folder(checkpoint, revision, "config.json", ["*.json"], _WEIGHTS)
    config = _read(library.AutoConfig.from_pretrained, folder)
    classes = len(config.id2label)
    require_classes(checkpoint, num_classes, classes)
    told = _preprocessing(library, folder, mean, std)
    network = _network(library, folder, config, auto_classes, victim)
    _settle_hooks(network, told.side or _SIDE)
    return HuggingFaceCheckpoint(
        network,
        config.model_type,
        {int(n): str(name) for n, name in config.id2label.items()},
        *told,
    )


def _read(read: Any, folder: Path, **more: Any) -> Any:
    """Read something from a folder, with no code of it and nothing from the internet."""
    try:
        return read(folder, local_files_only=True, trust_remote_code=False, **more)
    except Exception as error:  # whatever damaged files make a library raise
        let_memory_errors_pass(error)
        raise WeightsError(
            f"checkpoint {str(folder)!r} must be one that transformers can read "
            f"({type(error).__name__}: {first_line(error)}). Save it anew with save_pretrained, "
            "the network's and its processor's."
        ) from error


def _network(
    library: Any, folder: Path, config: Any, auto_classes: Sequence[str], victim: str
) -> nn.Module:
    known = [getattr(library, name) for name in auto_classes]
    kind = next((one for one in known if type(config) in one._model_mapping), None)
    if kind is None:
        raise InputError(
            f"{victim} takes what {' or '.join(auto_classes)} of transformers loads, but "
            f"{str(folder)!r} is of the kind {config.model_type!r}. Take another checkpoint."
        )
    network, report = _read(
        kind.from_pretrained,
        folder,
        config=config,
        dtype=torch.float32,  # whatever it was saved in
        output_loading_info=True,
    )
    # What a checkpoint lacks, such as the head of a backbone, the library draws at random.
    if lost := sorted(map(str, {*report["missing_keys"], *report["mismatched_keys"]})):
        raise WeightsError(
            f"checkpoint {str(folder)!r} must hold all weights of {type(network).__name__}, but "
            f"{len(lost)} are missing or of another shape ({', '.join(lost[:3])}"
            f"{', …' if len(lost) > 3 else ''}). Take one that is trained for this task."
        )
    # Every layer holds a config, which would tell one network in two folders apart.
    for part in network.modules():
        if hasattr(part, "name_or_path"):
            part.name_or_path = ""
        if (own := getattr(part, "config", None)) is not None:
            own.name_or_path = ""
    return network.eval()  # type: ignore[no-any-return]


class LibraryHook:
    """A layer's hook of the library, known by its name and the values that it encloses.

    The library's own are inner functions, whose names tell none from another.

    Args:
        name: of the function.
        enclosed: the plain values that it was made with, by their names.
    """

    def __init__(self, name: str, enclosed: dict[str, Any]) -> None:
        self.name = name
        self.enclosed = enclosed
        self._hook: Callable[..., Any]

    @classmethod
    def of(cls, hook: Callable[..., Any]) -> LibraryHook:
        """Return the same as a function does, describable."""
        inside = inspect.getclosurevars(hook).nonlocals
        plain = {name: value for name, value in inside.items() if not callable(value)}
        made = cls(f"{hook.__module__}.{hook.__qualname__}", plain)
        made._hook = hook
        return made

    def __call__(self, *arguments: Any) -> Any:
        """Call the hook."""
        return self._hook(*arguments)


def _settle_hooks(network: nn.Module, side: int) -> None:
    """Make a network's hooks describable; the library adds some when it is first asked."""
    with torch.no_grad():
        network(pixel_values=torch.zeros(1, 3, side, side))
    for part in network.modules():
        for key, hook in part._forward_hooks.items():
            if inspect.isfunction(hook) and "<locals>" in hook.__qualname__:
                part._forward_hooks[key] = LibraryHook.of(hook)


def _preprocessing(
    library: Any, folder: Path, mean: Channels | None, std: Channels | None
) -> _Preprocessing:
    if not (folder / _PREPROCESSING).is_file():
        raise WeightsError(
            f"checkpoint {str(folder)!r} must hold {_PREPROCESSING}, which says mean, std and "
            "size, found none. Save the processor there too (save_pretrained)."
        )
    processor = _read(library.AutoImageProcessor.from_pretrained, folder)
    for odd in ("do_flip_channel_order", "rescale_offset", "include_top"):
        if getattr(processor, odd, False):
            raise InputError(
                f"the processor of {str(folder)!r} must rescale and normalise only, but has {odd}. "
                "Take another checkpoint."
            )
    own = _normalisation(processor)
    require_normalisation(mean, std, own, _PREPROCESSING)
    resample = getattr(processor, "resample", None)
    return _Preprocessing(
        *own,
        _side(processor),
        "bilinear" if resample is None or int(resample) == _BILINEAR else "bicubic",
        getattr(processor, "size_divisor", None)
        or getattr(processor, "ensure_multiple_of", None)
        or 1,
    )


def _normalisation(processor: Any) -> tuple[Channels, Channels]:
    """Return mean and std for images in [0, 1], whatever units the processor counts in."""
    if not processor.do_normalize:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    else:
        mean, std = processor.image_mean, processor.image_std
    # The processor sees 0 … 255, or that times its factor.
    unit = 255 * (processor.rescale_factor if processor.do_rescale else 1)
    return _divided(mean, unit), _divided(std, unit)


def _divided(channels: Sequence[float], unit: float) -> Channels:
    red, green, blue = (float(one) / unit for one in channels)
    return red, green, blue


def _side(processor: Any) -> int | None:
    """Return the side of the square that a network is shown, None where shapes are kept."""
    size = processor.crop_size if getattr(processor, "do_center_crop", False) else processor.size
    told = dict(size or {})
    if getattr(processor, "keep_aspect_ratio", False):
        return None
    if "shortest_edge" in told and hasattr(processor, "crop_pct"):  # ConvNeXt's, a square always
        return int(told["shortest_edge"])
    if "height" in told and told["height"] == told["width"]:
        return int(told["height"])
    return None
