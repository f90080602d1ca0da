"""Verification of a data set: every sample is read before anything runs, all problems reported."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import albumentations as A
from lightning.pytorch.utilities import rank_zero_warn
from tqdm import tqdm

from project.core.errors import InputError
from project.core.losses import VOID
from project.data.augmentation import Augmentation
from project.data.decoding import Remark, SampleError
from project.data.sample_set import SampleSet, Seen

OnError = Literal["raise", "skip"]

_SHOWN = 5  # files that a message names
_REMARKS: dict[Remark, str] = {
    "turned": (
        "have an EXIF rotation, which is not applied (if masks were made on photos as they are "
        "displayed, set --data.reading.orientation displayed)"
    ),
    "transparent": "have transparent pixels, which are read in the colours stored beneath",
}


@dataclass(frozen=True)
class Problem:
    """An unusable sample: its index, its file and the reason."""

    index: int
    file: str
    reason: str


class DataError(InputError):
    """Samples of a data set are unusable; the message lists them with the remedy."""


def find_problems(
    samples: SampleSet, augment: Augmentation | None = None
) -> tuple[list[Problem], dict[int, Seen]]:
    """Read every sample that would be served, and bring it into its frame, in threads.

    Args:
        samples: the set to look through.
        augment: the training augmentation, whose geometry is the frame then; None: evaluation's.

    Returns:
        The problems in the order of the samples, empty if there are none, and what was seen of all
        other samples by index.
    """
    frame = samples.frame.steps if augment is None else partial(augment.geometry, samples.frame)
    known = threading.local()

    def check(index: int) -> Problem | Seen:
        if not hasattr(known, "transform"):  # a transform is not made for several threads
            known.transform = A.Compose(frame())
        try:
            return samples.check(index, known.transform)
        except SampleError as error:
            return Problem(index, samples.where(index), str(error))

    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        # A large set takes minutes: after two seconds a bar says so.
        results = tqdm(
            pool.map(check, samples.indices),
            total=len(samples),
            desc="verifying data",
            delay=2,
            leave=False,
            disable=None,  # no bar where there is no terminal
        )
        found = dict(zip(samples.indices, results, strict=True))
    problems = [result for result in found.values() if isinstance(result, Problem)]
    return problems, {at: result for at, result in found.items() if isinstance(result, Seen)}


def verify_samples(
    samples: SampleSet, on_error: OnError, augment: Augmentation | None = None
) -> list[str]:
    """Read every sample as it will be served, and refuse or skip those that are unusable.

    Args:
        samples: the set; with ``skip`` the bad samples are left out, others keep their index.
        on_error: ``raise`` refuses to go on, ``skip`` warns once and goes on.
        augment: the training augmentation of a set to train on.

    Returns:
        Notices for the report: about samples left out, photos that are read otherwise than they are
        shown, and masks that hold next to nothing.

    Raises:
        DataError: naming count, first files, reasons and the remedy; also if nothing is left, or if
            no mask has a pixel of any class.
    """
    if len(samples) == 0:
        raise DataError("the data set must hold at least one sample, got none. Check root.")
    problems, seen = find_problems(samples, augment)
    notices = refuse_or_skip(samples, problems, on_error)
    told = [*_about_photos(samples, seen), *_about_masks(samples, seen)]
    for notice in told:
        rank_zero_warn(notice)
    return notices + told


def refuse_or_skip(samples: SampleSet, problems: list[Problem], on_error: OnError) -> list[str]:
    """Refuse a set with unusable samples, or stop serving them with a notice.

    Returns:
        A line about the samples left out, if there are any.

    Raises:
        DataError: naming count, first files, reasons and the remedy; also if nothing is left.
    """
    if not problems:
        return []
    total = len(samples)
    if on_error == "raise" or len(problems) == total:
        raise DataError(_report(problems, total))
    samples.skip({problem.index for problem in problems})
    names = _few([problem.file for problem in problems])
    notice = f"skipped {len(problems)} of {total} samples that cannot be used: {names}"
    rank_zero_warn(notice)
    return [notice]


def _about_photos(samples: SampleSet, seen: dict[int, Seen]) -> list[str]:
    """Tell which photos are read otherwise than they are shown."""
    notices = []
    for remark, meaning in _REMARKS.items():
        files = [samples.where(index) for index, one in seen.items() if one.remark == remark]
        if files:
            notices.append(f"{len(files)} of {len(seen)} photos {meaning}: {_few(files)}")
    return notices


def _about_masks(samples: SampleSet, seen: dict[int, Seen]) -> list[str]:
    """Refuse masks that are void everywhere, and tell if they have but one class.

    Raises:
        DataError: naming the likely cause.
    """
    if samples.task != "segmentation":
        return []
    ids = frozenset[int]().union(*(one.ids for one in seen.values()))
    classes = sorted(ids - {VOID})
    if len(classes) > 1 or (classes and VOID not in ids):
        return []
    stored = samples.stored_ids(next(iter(seen)))
    cause = ""
    if stored and stored <= {0, VOID}:
        cause = " The files hold 0 and 255 only: is 255 the object? Save it as the id of its class."
    elif stored:
        cause = f" The first file holds the ids {', '.join(map(str, sorted(stored)))}."
    if not classes:
        raise DataError(
            f"masks must have pixels of a class, got {len(seen)} masks that are void everywhere "
            f"(void is 255).{cause} Check the masks and the arguments that name them."
        )
    name = samples.class_names[classes[0]]
    return [f"all masks hold but one class, {name}, and void (255).{cause}"]


def _report(problems: list[Problem], total: int) -> str:
    lines = [f"{len(problems)} of {total} samples cannot be used:"]
    lines += [f"  {problem.file}: {problem.reason}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"  … and {len(problems) - _SHOWN} more")
    if len(problems) == total:
        lines.append("No sample is left. Check root and the arguments that name files and labels.")
    else:
        lines.append("Repair them, or go on without them: --data.on_error skip")
    return "\n".join(lines)


def _few(files: list[str]) -> str:
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(files[:_SHOWN]) + more
