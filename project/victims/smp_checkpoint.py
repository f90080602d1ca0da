"""Whole segmenters of smp as its ``save_pretrained`` writes them, and as its hub publishes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp

from project.core.errors import let_memory_errors_pass
from project.victims.hub import checkpoint_folder, require_classes, require_normalisation
from project.victims.segmentation import SegmentationVictim
from project.victims.smp_victim import architecture_of, normalisation_of, stride_of
from project.victims.victim import Channels
from project.victims.weights import WeightsError, load_weights

_WEIGHTS = "model.safetensors"
_AUGMENTATION = "albumentations_config_eval.json"


class SmpCheckpoint(SegmentationVictim):
    """A segmenter of smp with architecture, encoder and weights from one published folder.

    Mean and std come from the evaluation transform that smp's own checkpoints hold
    (``albumentations_config_eval.json``), else from the encoder as for :class:`SmpVictim`.

    Args:
        checkpoint: a folder as saved by smp's ``save_pretrained``, or a name of the hub such as
            ``smp-hub/segformer-b0-512x512-ade-160k`` (fetched once).
        revision: branch, tag or commit of the hub; None is its newest.
        num_classes: K that is expected; None takes the checkpoint's.
        divisor: heights and widths are padded to multiples of it; None is what smp requires.
        mean: per channel in [0, 1] units; where the checkpoint says its own, the same.
        std: likewise.
        input_size: side of the square that images are stretched to inside; None keeps their size.

    Raises:
        InputError: if classes or normalisation contradict the checkpoint's.
        WeightsError: if the checkpoint cannot be fetched or read, or does not fit its network.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        revision: str | None = None,
        num_classes: int | None = None,
        divisor: int | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
        input_size: int | None = None,
    ) -> None:
        folder = checkpoint_folder(checkpoint, revision, "config.json", ["*.json"], [_WEIGHTS])
        config = _told(folder / "config.json")
        classes = int(config.get("classes", 1))
        require_classes(checkpoint, num_classes, classes)
        network: Any = _network(folder, config)
        load_weights(network, folder / _WEIGHTS)
        own_mean, own_std = _normalisation(folder, config, mean, std)
        super().__init__(
            network,
            classes,
            mean=own_mean,
            std=own_std,
            input_size=input_size,
            divisor=divisor or stride_of(network),
        )
        network.requires_divisible_input_shape = False  # the victim pads to multiples itself
        self.checkpoint = checkpoint
        self.revision = revision


def _told(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"{str(path)!r} must be JSON as smp's save_pretrained writes it ({error}). Copy it "
            "again."
        ) from error


def _network(folder: Path, config: dict[str, Any]) -> Any:
    name = config.get("_model_class")
    if not isinstance(name, str):
        raise WeightsError(
            f"checkpoint {str(folder)!r} must say its architecture in config.json (_model_class), "
            "found none. Save it with smp's save_pretrained."
        )
    make = architecture_of(name)
    known = {key: value for key, value in config.items() if not key.startswith("_")}
    try:
        return make(**known | {"encoder_weights": None})  # the folder has them
    except Exception as error:  # what unknown arguments and encoders make smp and timm raise
        let_memory_errors_pass(error)
        raise WeightsError(
            f"checkpoint {str(folder)!r} must be a {name} that smp {smp.__version__} can build "
            f"({type(error).__name__}: {str(error)[:200]}). Save it anew with this version."
        ) from error


def _normalisation(
    folder: Path, config: dict[str, Any], mean: Channels | None, std: Channels | None
) -> tuple[Channels, Channels]:
    own = _published(folder)
    if own is None:
        encoder = str(config.get("encoder_name", ""))
        trained = bool(config.get("encoder_weights"))
        usual_mean, usual_std = normalisation_of(encoder, trained, given=bool(mean and std))
        return mean or usual_mean, std or usual_std
    require_normalisation(mean, std, own, _AUGMENTATION)
    return own


def _published(folder: Path) -> tuple[Channels, Channels] | None:
    """Return mean and std of the published evaluation transform, None if there is none."""
    path = folder / _AUGMENTATION
    if not path.is_file():
        return None
    steps = [_told(path).get("transform", {})]
    while steps:
        step = steps.pop()
        if "mean" in step and "std" in step:
            scale = float(step.get("max_pixel_value") or 255) / 255
            return _scaled(step["mean"], scale), _scaled(step["std"], scale)
        steps += step.get("transforms", [])
    return None


def _scaled(channels: Sequence[float], scale: float) -> Channels:
    red, green, blue = (scale * float(one) for one in channels)
    return red, green, blue
