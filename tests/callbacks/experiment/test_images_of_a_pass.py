"""Images come from the store only if they were made from the very same images and labels."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from project.attacks import FGSM, PGD
from project.callbacks.experiment.images_of_a_pass import PassImages, stacked_images, stored_samples
from project.core.identity import describe, digest
from project.storage.saving import Saving
from project.storage.seal import sealed
from project.storage.store import Store
from tests.models import CurvedClassifier

VICTIM = CurvedClassifier((8, 8))
LEVELS = torch.randint(1, 255, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0))


def batch(images: torch.Tensor | None = None, labels=(1, 2)):
    clean = LEVELS.float().div(255) if images is None else images
    return {"image": clean, "target": torch.tensor(labels), "index": torch.tensor([4, 7])}


def of_pass(root) -> PassImages:
    saving = Saving()
    return PassImages(FGSM(), lambda: VICTIM, Store(root, "fgsm", {"data": "abc"}), saving)


def made_of(root, given) -> int:
    """Return how many images are attacked, and not taken from the store."""
    images = of_pass(root)
    images(given)
    images.saving.wait()
    return images.made


def changed(place: tuple[int, ...], value: float) -> torch.Tensor:
    images = batch()["image"].clone()
    images[place] += value
    return images


def test_the_same_images_come_from_the_store(tmp_path):
    assert made_of(tmp_path, batch()) == 2
    assert made_of(tmp_path, batch()) == 0


@pytest.mark.parametrize(
    "other",
    [
        batch(changed((1, 2, 3, 4), 1 / 255)),
        batch(changed((0, 0, 0, 0), 1e-7)),  # of the same levels, and yet another image
        batch(labels=(1, 3)),
        batch(LEVELS.flip(0).float().div(255)),
    ],
    ids=["a level", "less than a level", "a label", "another order"],
)
def test_other_images_are_attacked_again(tmp_path, other):
    made_of(tmp_path, batch())
    with pytest.warns(UserWarning, match="made from another image or label"):
        assert made_of(tmp_path, other) == 2
    assert made_of(tmp_path, other) == 0


def test_images_that_are_not_of_8_bits_count_to_the_last_bit(tmp_path):
    between = batch((LEVELS + 0.3) / 255)
    made_of(tmp_path, between)
    assert made_of(tmp_path, between) == 0
    with pytest.warns(UserWarning, match="made from another image or label"):
        assert made_of(tmp_path, batch((LEVELS + 0.30001) / 255)) == 2


def older(store: Store, given) -> list[np.ndarray]:
    """Fill a store as the first versions did: files of their own, packed, with other hashes."""
    samples = stored_samples(FGSM().run(VICTIM, given["image"], given["target"], given["index"]))
    for place, index in enumerate(given["index"].tolist()):
        made, told = samples[place], PngImagePlugin.PngInfo()
        origin = digest([describe(given["image"][place]), describe(given["target"][place])])
        told.add_text("mirage", '{"success": 1.0, "steps": 1}')
        told.add_text("mirage_about", f'{{"origin": "{origin}", "arrays": true}}')
        png, npz = io.BytesIO(), io.BytesIO()
        Image.fromarray(made.image).save(png, "PNG", pnginfo=told, compress_level=1)
        np.savez_compressed(npz, **{f"trace_{name}": one for name, one in made.traces.items()})
        for suffix, content in (("png", png), ("npz", npz)):
            name = f"{index:08d}.{suffix}"
            whole = sealed(content.getvalue(), f"{store.key}/{name}")
            (store.folder / name).write_bytes(whole)
    return [made.image for made in samples]


def test_an_older_store_is_read(tmp_path):
    images = of_pass(tmp_path)
    images.store.folder.mkdir(parents=True)
    wanted = older(images.store, batch())
    found = of_pass(tmp_path)
    for one, image in zip(found(batch()), wanted, strict=True):
        np.testing.assert_array_equal(one.image, image)
        assert one.traces
    assert found.made == 0
    with pytest.warns(UserWarning, match="made from another image or label"):
        assert made_of(tmp_path, batch(labels=(1, 3))) == 2


def test_what_is_judged_is_what_was_attacked(tmp_path):
    given = batch()
    result = PGD(steps=2).run(VICTIM, given["image"], given["target"], given["index"])
    stacked = stacked_images(stored_samples(result))
    assert torch.equal(stacked, result.images.mul(255).round().div(255))
    masked = replace(result, mask=torch.rand(2, 1, 8, 8))
    for sample, mask in zip(stored_samples(masked), masked.mask, strict=True):
        np.testing.assert_array_equal(sample.mask, mask[0].mul(255).round().byte().numpy())
