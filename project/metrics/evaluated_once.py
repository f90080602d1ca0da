"""Check that every sample was evaluated exactly once: otherwise no numbers are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from project.metrics.states import Folded

NAMED_IDS = 10  # more ids than this are counted, not listed, in an error


class LedgerError(RuntimeError):
    """A sample was missed, or counted twice, or does not belong to the data set."""


class Ledger(Folded):
    """Records the ids of the evaluated samples over all processes.

    Neighbours mostly come one after another, so that the first and last id of each row of them are
    held: a few bytes per batch.
    """

    def __init__(self) -> None:
        super().__init__(torch.int64)

    def add(self, values: Tensor) -> None:
        """Add ids, (N,) on the CPU."""
        known, rows = self.gathered().view(-1, 2), _rows(values)
        if len(known) and len(rows) and known[-1, 1] + 1 == rows[0, 0]:
            rows[0, 0], known = known[-1, 0], known[:-1]  # goes on where the last row ended
        self._hold(torch.cat([known, rows]).flatten())

    def compute(self) -> Tensor:
        """Return the ids seen, (M,) int64, sorted, repeated ids repeated."""
        first, last = self.gathered().view(-1, 2).unbind(1)
        lengths = last - first + 1
        before = (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
        within = torch.arange(int(lengths.sum())) - before
        return (first.repeat_interleave(lengths) + within).sort().values

    def check(self, expected: Iterable[int]) -> None:
        """Check that each expected id was evaluated exactly once, over all processes.

        A collective: every process must call it, and all raise or none does.

        Args:
            expected: the data set's ids.

        Raises:
            LedgerError: if an id is missing, repeated or unknown; names them.
        """
        # A multiset, since padded samplers repeat samples, which a set of ids would hide.
        seen = Counter(self.compute().reshape(-1).tolist())
        wanted = {int(index) for index in expected}
        faults = {
            "missing": sorted(wanted - seen.keys()),
            "repeated": sorted(index for index, count in seen.items() if count > 1),
            "unknown": sorted(seen.keys() - wanted),
        }
        found = [f"{kind} {_some(ids)}" for kind, ids in faults.items() if ids]
        if found:
            raise LedgerError(
                f"each of the {len(wanted)} samples must be evaluated exactly once, got "
                f"{seen.total()} evaluations: {'; '.join(found)}. Numbers from this run would be "
                "wrong, so none are reported: use the project's own data modules, which deal whole "
                "batches to processes without padding."
            )


def _rows(ids: Tensor) -> Tensor:
    """Return the first and last id of each row of neighbours, (R, 2), in the order of the ids."""
    if not len(ids):
        return ids.new_empty(0, 2)
    ends = ids.diff() != 1
    border = torch.ones(1, dtype=torch.bool)
    return torch.stack([ids[torch.cat([border, ends])], ids[torch.cat([ends, border])]], 1)


def _some(ids: list[int]) -> str:
    listed = ", ".join(map(str, ids[:NAMED_IDS]))
    return f"{listed} and {len(ids) - NAMED_IDS} more" if len(ids) > NAMED_IDS else listed
