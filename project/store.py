"""Adversarial images on disk: a content-addressed cache that survives a crash at any instant.

Layout
    ROOT/LABEL-KEY/manifest.json     what the key stands for
    ROOT/LABEL-KEY/00000042.png      the 8-bit image of sample 42, its facts as JSON in a text chunk
    ROOT/LABEL-KEY/00000042.npz      its flow, mask and traces; written before the image

KEY is a hash of everything the images follow from. A sample is there once its PNG is: files are
replaced as a whole, so none is ever half. Any number of runs may write to one store at once, since
equal keys and indices mean equal content.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from project.describe import digest
from project.errors import InputError
from project.replacing import remove_abandoned, replace_file

_FORMAT = 1
_CHUNK = "mirage"
_WRITERS = 4  # threads; [ours]
_TRACE = "trace_"  # before the name of a trace, among the names of the arrays


class StoreError(InputError):
    """The store is not what it should be."""


@dataclass(frozen=True)
class StoredSample:
    """One adversarial image and what is known of how it was made.

    Attributes:
        image: (H, W, 3) uint8.
        facts: plain numbers (success, steps, largest displacement …).
        flow: (2, H, W) float16 in pixels, or None.
        mask: (H, W) uint8, 255 where the image was allowed to change, or None.
        traces: (T,) float32 each, what happened step by step.
    """

    image: NDArray[np.uint8]
    facts: dict[str, float]
    flow: NDArray[np.float16] | None = None
    mask: NDArray[np.uint8] | None = None
    traces: dict[str, NDArray[np.float32]] = field(default_factory=dict)


class Store:
    """The adversarial images of one attack on one source over one data set.

    Args:
        root: the folder of all stores.
        label: what people call this one; part of the folder's name.
        description: plain data that the images follow from; its hash is the key.

    Raises:
        StoreError: if the folder is there but holds something else.
    """

    def __init__(self, root: Path, label: str, description: Any) -> None:
        self.root = root
        self.label = label
        self.description = description
        slug = re.sub(r"[^\w.-]+", "_", label)
        self.key = digest(description)
        self.folder = root / f"{slug}-{self.key[:16]}"
        self._check_manifest()
        remove_abandoned(self.folder)

    def __contains__(self, index: int) -> bool:
        return self.image_path(index).is_file()

    def image_path(self, index: int) -> Path:
        """Return where a sample's image lies once it is there."""
        return self.folder / f"{index:08d}.png"

    def load(self, indices: list[int]) -> list[StoredSample] | None:
        """Return the samples of a batch, or None unless every one of them is there and readable.

        A batch that was interrupted is attacked again as a whole: so its images are the same, bit
        for bit, as in an unbroken run.
        """
        if not all(index in self for index in indices):
            return None
        try:
            return [self._read(index) for index in indices]
        except Exception as error:  # a broken file fails in many ways: zip, zlib, PNG, JSON
            warnings.warn(
                f"a file in {self.folder} cannot be read ({error}); its batch is attacked again.",
                stacklevel=2,
            )
            return None

    def save(self, indices: list[int], samples: list[StoredSample]) -> None:
        """Write the samples of a batch, several at a time: compressing and flushing leave the GIL.

        Raises:
            WriteError: if the disk does not take them; what was stored before is kept.
        """
        self._write_manifest()
        pairs = list(zip(indices, samples, strict=True))
        with ThreadPoolExecutor(_WRITERS) as writers:
            list(writers.map(lambda pair: self._write(*pair), pairs))  # raises what a writer raises

    def _check_manifest(self) -> None:
        path = self.folder / "manifest.json"
        if not path.exists():
            if self.folder.exists() and any(self.folder.glob("*.png")):
                raise StoreError(
                    f"{self.folder} holds images but no manifest.json, so it cannot be told which "
                    "experiment they are from. Move it away, or choose another store."
                )
            return
        try:
            manifest = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} cannot be read ({error}). Move the folder away.") from error
        if manifest != self._manifest():
            raise StoreError(
                f"{self.folder} is the store of another experiment: its manifest describes another "
                "attack, source or data set. Move it away, or choose another store."
            )

    def _manifest(self) -> dict[str, Any]:
        return {"format": _FORMAT, "label": self.label, "description": self.description}

    def _write_manifest(self) -> None:
        path = self.folder / "manifest.json"
        if not path.exists():
            replace_file(path, json.dumps(self._manifest(), indent=1, sort_keys=True).encode())

    def _read(self, index: int) -> StoredSample:
        with Image.open(self.image_path(index)) as file:
            file.load()
            facts = json.loads(file.text[_CHUNK])  # type: ignore[attr-defined]
            image = np.asarray(file)
        arrays_path = self.image_path(index).with_suffix(".npz")
        if not arrays_path.is_file():
            return StoredSample(image, facts)
        with np.load(io.BytesIO(arrays_path.read_bytes())) as arrays:
            traces = {n.removeprefix(_TRACE): arrays[n] for n in arrays if n.startswith(_TRACE)}
            return StoredSample(image, facts, arrays.get("flow"), arrays.get("mask"), traces)

    def _write(self, index: int, sample: StoredSample) -> None:
        path = self.image_path(index)
        arrays: dict[str, NDArray[Any]] = {_TRACE + n: one for n, one in sample.traces.items()}
        if sample.flow is not None:
            arrays["flow"] = sample.flow
        if sample.mask is not None:
            arrays["mask"] = sample.mask
        if arrays:
            packed = io.BytesIO()
            np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
            replace_file(path.with_suffix(".npz"), packed.getvalue())
        text = PngImagePlugin.PngInfo()
        text.add_text(_CHUNK, json.dumps(sample.facts))
        encoded = io.BytesIO()
        Image.fromarray(sample.image).save(encoded, "PNG", pnginfo=text, compress_level=1)
        replace_file(path, encoded.getvalue())
