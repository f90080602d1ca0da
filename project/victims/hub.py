"""Folders of published checkpoints: local ones, or of the Hugging Face hub by name.

Convention: a checkpoint is a folder (a text with ``~`` or ``${NAME}`` is expanded), or else a name
``OWNER/NAME`` of the hub, whose files are fetched once and then found in the hub's cache.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants as hub

from project.core.errors import InputError, first_line, let_memory_errors_pass
from project.victims.downloads import without_waiting
from project.victims.victim import Channels
from project.victims.weights import WeightsError

_ROUNDED = 1e-3  # means and stds are published with three or four decimal places
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def checkpoint_folder(
    checkpoint: str | Path,
    revision: str | None,
    config: str,
    more: Sequence[str],
    weights: Sequence[str],
) -> Path:
    """Return the folder of a checkpoint, fetched from the hub where it is a name of it.

    Args:
        checkpoint: a local folder, or a hub name such as ``nvidia/segformer-b0-finetuned-ade``.
        revision: branch, tag or commit of the hub; None is its newest.
        config: the file that the folder must hold.
        more: patterns of what else to fetch beside it.
        weights: patterns of the weights; what the first finds is fetched, else the next.

    Raises:
        WeightsError: if the folder is not there or holds no such file, or nothing can be fetched;
            within seconds where there is no network.
    """
    told = os.path.expandvars(os.path.expanduser(str(checkpoint)))
    if "$" in told:
        raise WeightsError(
            f"checkpoint {str(checkpoint)!r} names an environment variable that is not set. Set "
            "it, or give a plain path."
        )
    folder = Path(told)
    if not folder.is_dir():
        if not _HUB_NAME.fullmatch(told):
            raise WeightsError(
                f"checkpoint {told!r} must be a folder with {config}, or a hub name OWNER/NAME, "
                f"found {'a file' if folder.exists() else 'nothing there'}. Correct it (relative "
                f"paths start at {str(Path.cwd())!r})."
            )
        for pattern in weights:
            folder = _fetched(told, revision, config, [config, *more, pattern])
            if any(folder.glob(pattern)):
                break
    if not (folder / config).is_file():
        raise WeightsError(
            f"checkpoint {str(folder)!r} must hold {config}, beside the weights, found none. "
            "Save it with the library's save_pretrained, or copy that file there too."
        )
    return folder


def require_classes(checkpoint: str | Path, given: int | None, own: int) -> None:
    """Refuse a number of classes that is not the checkpoint's; None is any."""
    if given not in (None, own):
        raise InputError(
            f"checkpoint {str(checkpoint)!r} must have num_classes {given}, but is for {own}. "
            "Leave num_classes out, or take a checkpoint trained on those classes."
        )


def require_normalisation(
    mean: Channels | None, std: Channels | None, own: tuple[Channels, Channels], file: str
) -> None:
    """Refuse a given mean or std that differs from a checkpoint's in the third decimal place.

    Args:
        mean: per channel in [0, 1] units; None is any.
        std: likewise.
        own: the checkpoint's mean and std.
        file: in which the checkpoint says them, for the message.
    """
    for name, given, told in (("mean", mean, own[0]), ("std", std, own[1])):
        if given is None or all(abs(a - b) <= _ROUNDED for a, b in zip(given, told, strict=True)):
            continue
        raise InputError(
            f"{name} must be the checkpoint's {tuple(round(one, 4) for one in told)}, got "
            f"{tuple(given)}. Leave it out, or correct {file}."
        )


def _fetched(name: str, revision: str | None, config: str, patterns: Sequence[str]) -> Path:
    try:
        with without_waiting():
            return Path(
                huggingface_hub.snapshot_download(
                    name,
                    revision=revision,
                    allow_patterns=list(patterns),
                    cache_dir=hub.HF_HUB_CACHE,
                    local_files_only=hub.HF_HUB_OFFLINE,
                )
            )
    except Exception as error:  # of the hub's own kinds, of httpx and of the disk
        let_memory_errors_pass(error)
        raise WeightsError(
            f"checkpoint {name!r} could not be fetched from the hub ({type(error).__name__}: "
            f"{first_line(error)}), nor is it a folder here. Connect to the internet once, or put "
            f"its files ({config} and the weights) into a folder and give that as checkpoint."
        ) from error
