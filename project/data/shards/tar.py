"""Samples in WebDataset's tars, each read from where its bytes lie."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from tqdm import tqdm

from project.core.errors import InputError
from project.data.decoding import SampleError
from project.data.shards.shards import Numbers, SampleShards, hashed, stat_shard
from project.data.shards.tar_index import tar_index
from project.data.shards.tar_scan import Fields, TarIndex
from project.data.shards.texts import Texts


class TarShards(SampleShards):
    """Samples in tars. One read of a sample opens its tar, reads its bytes, and closes it.

    Args:
        root: folder that the tars are relative to.
        shards: their paths.
        fields: which members of a key are the photo and its target.
        keys_per_shard: whether each tar counts its keys for itself; names are then ``TAR/KEY``.

    Raises:
        InputError: naming a tar that is damaged, tars without a sample, or two samples of one key.
    """

    def __init__(
        self, root: Path, shards: Sequence[str], fields: Fields, *, keys_per_shard: bool
    ) -> None:
        stamps = [stat_shard(root / shard) for shard in shards]
        # A tar of thousands takes a tenth of a second: of hundreds a bar says so.
        listed = tqdm(
            zip(shards, stamps, strict=True),
            total=len(shards),
            desc="indexing shards",
            delay=2,
            leave=False,
            disable=None,
        )
        found = [tar_index(root / shard, stamp, fields) for shard, stamp in listed]
        super().__init__(root, shards, stamps, [len(one.keys) for one in found])
        self._require_samples(found, fields)
        keys = [one.keys for one in found]
        if keys_per_shard:
            stems = [PurePosixPath(shard).with_suffix("").as_posix() for shard in shards]
            keys = [
                Texts.of(f"{stem}/{key}" for key in some)
                for stem, some in zip(stems, keys, strict=True)
            ]
        self.keys_per_shard = keys_per_shard
        self.names = Texts.chained(keys)
        self.places: Numbers = np.concatenate([one.places for one in found])
        self.labels = np.concatenate([one.labels for one in found])
        self.faults = {
            int(start) + number: fault
            for start, one in zip(self.starts, found, strict=False)
            for number, fault in one.faults.items()
        }
        self._require_unique()

    def encoded(self, index: int) -> tuple[bytes, ...]:
        """Return a sample's members; see :class:`SampleShards`."""
        shard, _ = self.place(index)
        parts = self.places[index].reshape(-1, 2).tolist()
        try:
            with (self.root / self.shards[shard]).open("rb", buffering=0) as file:
                self.require_same(shard, os.fstat(file.fileno()))
                return tuple(os.pread(file.fileno(), size, start) for start, size in parts)
        except FileNotFoundError as error:
            raise SampleError("its shard is missing") from error
        except OSError as error:
            raise SampleError(f"its shard cannot be read: {error.strerror}") from error

    def where(self, index: int) -> str:
        """Return tar and key."""
        key = self.names[index]
        shard = self.shards[self.place(index)[0]]
        stem = PurePosixPath(shard).with_suffix("").as_posix()
        return f"{shard}: {key.removeprefix(f'{stem}/') if self.keys_per_shard else key}"

    def content(self) -> list[Any]:
        """Return hashes of keys, classes and sizes of members, whatever tars they lie in."""
        return hashed(self.names.joined, self.names.ends, self.labels, self.places[:, 1::2])

    def _require_samples(self, found: Sequence[TarIndex], fields: Fields) -> None:
        """Refuse tars none of whose keys has a photo, or none a target: their fields are others."""
        count = int(self.starts[-1])
        faults = Counter(fault for one in found for fault in one.faults.values())
        if count and faults.total() < count:
            return
        there = sorted({name for one in found for name in one.found})
        what = "mask" if fields.mask else "label"
        told = f"; all {count} keys are like this: {faults.most_common(1)[0][0]}" if faults else ""
        raise InputError(
            f"{self.shards[0]}{' …' if len(self.shards) > 1 else ''}: no key has a photo and a "
            f"{what}{told}. Fields are {', '.join(there) or 'none'}: name them with --data.image "
            f"and --data.{what}."
        )

    def _require_unique(self) -> None:
        pair = self.names.repeated()
        if pair is None:
            return
        first, second = (self.shards[self.place(index)[0]] for index in pair)
        raise InputError(
            f"a key must occur once, got {self.names[pair[0]]!r} in {first} and in {second}. Leave "
            "one of them out of --data.shards, or, if each shard counts for itself, set "
            "--data.keys_per_shard true."
        )
