"""The photos inside of the package foolbox, or one line that says what to install."""

from pathlib import Path

import foolbox
import pytest
import torch

from project.core.errors import InputError
from project.data import CentreCrop, FoolboxPhotos, foolbox_photos


def test_photos_classes_and_names_are_those_that_foolbox_gives():
    data = FoolboxPhotos(batch_size=20)
    data.setup()
    samples = data.samples
    photos = sorted(Path(foolbox.__file__).parent.glob("data/imagenet_*.jpg"))
    assert [samples.where(k) for k in range(20)] == [photo.name for photo in photos]
    assert [samples[k]["target"] for k in range(20)] == [
        int(p.stem.rpartition("_")[2]) for p in photos
    ]
    assert samples.num_classes == 1000
    assert samples.class_names[samples.label(0)] == "bull mastiff"
    assert data.notices == []


def test_in_the_frame_of_the_config_they_make_batches():
    data = FoolboxPhotos(frame=CentreCrop(resize=64, crop=56), limit=4, batch_size=4)
    data.setup("test")
    loaders = data.test_dataloader()
    [batch] = loaders[0] if isinstance(loaders, list) else loaders
    assert batch["image"].shape == (4, 3, 56, 56)
    assert batch["image"].dtype == torch.float32


def test_without_the_package_one_line_tells_the_command(monkeypatch):
    monkeypatch.setattr(foolbox_photos, "in_package", lambda place: None)
    with pytest.raises(InputError, match=r"^these photos .* pip install foolbox==3\.3\.4, or all"):
        FoolboxPhotos().setup()


def test_another_version_without_photos_is_told_by_its_folder(monkeypatch, tmp_path):
    (tmp_path / "mnist_01_2.png").touch()
    monkeypatch.setattr(foolbox_photos, "in_package", lambda place: tmp_path)
    with pytest.raises(InputError, match=rf"another one: {tmp_path}\."):
        FoolboxPhotos().setup()


def test_fewer_photos_are_told(monkeypatch, tmp_path):
    folder = Path(foolbox.__file__).parent / "data"
    (tmp_path / "imagenet_00_243.jpg").write_bytes((folder / "imagenet_00_243.jpg").read_bytes())
    monkeypatch.setattr(foolbox_photos, "in_package", lambda place: tmp_path)
    data = FoolboxPhotos()
    with pytest.warns(UserWarning, match=r"has 1 photos of ImageNet, and 20 as published"):
        data.setup()
    assert data.num_classes == 1000
