"""Checkpoints: a flipped bit is noticed or harmless, and a weight is never another one."""

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from project.core.errors import InputError
from project.training.checkpoint_files import CheckpointFiles
from project.victims.weights import WeightsError, read_weights
from tests.storage.damage import flipped

FLIPS = 500


def state() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {"a.weight": torch.randn(7, 5, generator=draw), "b": torch.arange(9)}


def same(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


@pytest.mark.parametrize("name", ["weights.pt", "epoch.ckpt"])
def test_no_flipped_bit_of_a_checkpoint_becomes_a_weight(tmp_path, name):
    path, files = tmp_path / name, CheckpointFiles()
    content = {"state_dict": state(), "epoch": 3}
    (files.save_checkpoint if name == "epoch.ckpt" else torch.save)(content, path)
    whole, told = path.read_bytes(), []
    for bit in np.random.default_rng(0).integers(0, 8 * len(whole), FLIPS):
        path.write_bytes(flipped(whole, int(bit)))
        for read in (read_weights, lambda path: files.load_checkpoint(path)["state_dict"]):
            try:
                assert same(read(path), state()), f"bit {bit}"
            except InputError as error:
                told.append(str(error))
    assert len(told) > FLIPS
    assert all(str(path) in one for one in told)
    for end in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError):
            files.load_checkpoint(path)


def test_weights_without_checksums_of_their_own_may_have_some_beside_them(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(state(), path)
    whole = path.read_bytes()
    beside = tmp_path / "weights.safetensors.sha256"
    beside.write_text(f"{hashlib.sha256(whole).hexdigest()}  weights.safetensors\n")
    assert same(read_weights(path), state())
    path.write_bytes(flipped(whole, 8 * len(whole) - 70))
    with pytest.raises(WeightsError, match=r"not what weights\.safetensors\.sha256 beside it says"):
        read_weights(path)
