"""Counts of pixels by class, read from a run's rows where they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from project.report.run_rows import RunRows
from project.statistics.miou import Cell, Key

_ATTACKS = 2  # whose cells are in memory: one is compared with another


class Cells(Mapping[Key, Cell]):
    """The cells of a run of segmenters, in the rows' order; none where rows have no counts.

    An attack's are read together, in one pass, and those of two attacks are kept.

    Args:
        results: the rows.
    """

    def __init__(self, results: RunRows) -> None:
        self._results = results
        self._keys = dict.fromkeys(results.groups if results.counted else ())
        self._kept: OrderedDict[str, dict[Key, Cell]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __getitem__(self, key: Key) -> Cell:
        if key not in self._keys:
            raise KeyError(key)
        attack = key[0]
        if attack not in self._kept:
            while len(self._kept) >= _ATTACKS:
                self._kept.popitem(last=False)
            own = [one for one in self._keys if one[0] == attack]
            self._kept[attack] = {one: self._results.cell(one) for one in own}
        self._kept.move_to_end(attack)
        return self._kept[attack][key]
