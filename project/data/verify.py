"""Verification of a data set: decode every sample before anything runs, report all problems."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from lightning.pytorch.utilities import rank_zero_warn
from tqdm import tqdm

from project.core.errors import InputError
from project.data.decoding import SampleError
from project.data.sample_set import SampleSet

OnError = Literal["raise", "skip"]

_SHOWN = 5  # files that a message names


@dataclass(frozen=True)
class Problem:
    """An unusable sample: its index, its file and the reason."""

    index: int
    file: str
    reason: str


class DataError(InputError):
    """Samples of a data set are unusable; the message lists them with the remedy."""


def find_problems(samples: SampleSet) -> list[Problem]:
    """Decode every sample that would be served, in threads.

    Args:
        samples: the set to look through.

    Returns:
        The problems in the order of the samples, empty if there are none.
    """

    def check(index: int) -> Problem | None:
        try:
            samples.read(index)
        except SampleError as error:
            return Problem(index, samples.where(index), str(error))
        return None

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
        return [problem for problem in results if problem is not None]


def verify_samples(samples: SampleSet, on_error: OnError) -> list[str]:
    """Decode every sample, and refuse or skip those that are unusable.

    Args:
        samples: the set; with ``skip`` the bad samples are left out, others keep their index.
        on_error: ``raise`` refuses to go on, ``skip`` warns once and goes on.

    Returns:
        Notices for the report: a line about the samples left out, if there are any.

    Raises:
        DataError: naming count, first files, reasons and the remedy; also if nothing is left.
    """
    if len(samples) == 0:
        raise DataError("the data set must hold at least one sample, got none. Check root.")
    problems = find_problems(samples)
    if not problems:
        return []
    total = len(samples)
    if on_error == "raise" or len(problems) == total:
        raise DataError(_report(problems, total))
    samples.skip({problem.index for problem in problems})
    names = ", ".join(problem.file for problem in problems[:_SHOWN])
    more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    notice = f"skipped {len(problems)} of {total} samples that cannot be used: {names}{more}"
    rank_zero_warn(notice)
    return [notice]


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
