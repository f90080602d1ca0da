"""Seals: no flipped bit passes, nor a right file under a wrong name; readers see none."""

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from project.storage.seal import DamagedError, sealed, unsealed
from tests.storage.damage import flipped

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)


def png() -> bytes:
    content = io.BytesIO()
    Image.fromarray(PIXELS).save(content, "PNG")
    return content.getvalue()


def npz() -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, pixels=PIXELS)
    return content.getvalue()


def checkpoint() -> bytes:
    content = io.BytesIO()
    torch.save({"pixels": torch.from_numpy(PIXELS)}, content)
    return content.getvalue()


READ = {
    png: lambda content: np.asarray(Image.open(io.BytesIO(content))),
    npz: lambda content: np.load(io.BytesIO(content))["pixels"],
    checkpoint: lambda content: torch.load(io.BytesIO(content), weights_only=True)["pixels"],
}


@pytest.mark.parametrize("made", READ, ids=lambda made: made.__name__)
def test_a_sealed_file_is_a_valid_one_of_its_format(made):
    content = sealed(made(), "key/1")
    assert unsealed(content, "key/1") == content
    np.testing.assert_array_equal(READ[made](content), PIXELS)
    if made is not png:
        assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


@pytest.mark.parametrize("made", READ, ids=lambda made: made.__name__)
def test_no_damage_passes(made):
    whole = sealed(made(), "key/1")
    damaged = [flipped(whole, bit) for bit in range(0, 8 * len(whole), 7)]
    damaged += [whole[:end] for end in range(0, len(whole), 31)]
    damaged += [whole + b"\0", made(), b"", sealed(made(), "key/2")]
    for content in damaged:
        with pytest.raises(DamagedError):
            unsealed(content, "key/1")
