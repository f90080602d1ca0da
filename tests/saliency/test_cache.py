"""Maps that are kept in memory and on disk."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from project.saliency import TRACER, FrequencyTuned, Saliency
from project.saliency.cache import FOLDER_VARIABLE, KEPT, KeptMaps
from project.saliency.provider import Scene, saliency_maps
from tests.models import eight_bit_images
from tests.storage.damage import flipped


class Counting(Saliency):
    """A map that is made from its image alone, and a count of how many were made."""

    kept = True

    def __init__(self, power: float = 2.0) -> None:
        self.power = power
        self._made = 0

    @property
    def made(self) -> int:
        return self._made

    def __call__(self, images):
        self._made += len(images)
        return images.mean(1, keepdim=True) ** self.power


def scene(count: int) -> Scene:
    return Scene(torch.nn.Identity(), torch.zeros(count).long(), torch.arange(count))


def test_map_is_made_once_and_is_the_same_from_memory_and_from_disk():
    provider, images = Counting(), eight_bit_images(3)
    first = KeptMaps()
    made = first.maps(provider, images)
    assert torch.equal(made, Counting()(images))
    for again in (first, KeptMaps(), KeptMaps(memory=0)):  # the latter find the files
        assert torch.equal(again.maps(provider, images), made)
    assert provider.made == 3


def test_only_wanting_maps_are_made_wherever_they_stand():
    provider, images, kept = Counting(), eight_bit_images(4), KeptMaps()
    kept.maps(provider, images[1:3])
    assert torch.equal(kept.maps(provider, images), Counting()(images))
    assert provider.made == 4


def test_attacks_of_all_kinds_share_what_is_kept(kept_in):
    provider, images = Counting(), eight_bit_images(2)
    made = saliency_maps(provider, images, scene(2))
    assert torch.equal(saliency_maps(provider, images, scene(2)), made)
    assert provider.made == 2
    assert len(list(kept_in.rglob("*.npz"))) == 2


def test_cheap_providers_write_no_files(kept_in):
    saliency_maps(FrequencyTuned(), eight_bit_images(2), scene(2))
    assert not kept_in.exists()


@pytest.mark.parametrize(
    "other",
    [
        lambda images: (Counting(3.0), images),
        lambda images: (Counting(), images + 1 / 255),
        lambda images: (Counting(), images.double()),
        lambda images: (Counting(), images.view(1, 3, 16, 12)),
    ],
)
def test_other_provider_image_type_or_shape_has_another_map(other):
    images, kept = eight_bit_images(1), KeptMaps()
    kept.maps(Counting(), images)
    provider, images = other(images)
    assert torch.equal(kept.maps(provider, images), Counting(provider.power)(images))
    assert provider.made == 1


def test_other_number_of_threads_has_another_map():
    provider, images, kept = Counting(), eight_bit_images(1), KeptMaps()
    kept.maps(provider, images)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        kept.maps(provider, images)
    finally:
        torch.set_num_threads(threads)
    assert provider.made == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_damaged_file_is_made_anew(kept_in, damage):
    provider, images = Counting(), eight_bit_images(1)
    made = KeptMaps().maps(provider, images)
    (path,) = kept_in.rglob("*.npz")
    content = path.read_bytes()
    place = content.index(b"NUMPY") + 200 if b"NUMPY" in content else len(content) // 2
    wrong = flipped(content, 8 * place)
    path.write_bytes(
        {"cut": content[:-40], "flipped": wrong, "empty": b"", "other": b"text"}[damage]
    )
    with pytest.warns(UserWarning, match="its map is made anew"):
        assert torch.equal(KeptMaps().maps(provider, images), made)
    assert provider.made == 2
    assert torch.equal(KeptMaps().maps(provider, images), made)
    assert provider.made == 2


def test_every_flipped_bit_of_a_kept_map_is_noticed_or_harmless(kept_in):
    provider, images = Counting(), eight_bit_images(1)
    made = KeptMaps().maps(provider, images)
    (path,) = kept_in.rglob("*.npz")
    whole = path.read_bytes()
    bits = np.random.default_rng(0).integers(0, 8 * len(whole), 500)
    for bit in bits:
        path.write_bytes(flipped(whole, int(bit)))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert torch.equal(KeptMaps().maps(provider, images), made), f"bit {bit}"
        if not told:
            assert path.read_bytes() == flipped(whole, int(bit)), "another map was kept"
    assert provider.made > len(bits) // 2


def test_no_folder_keeps_maps_in_memory_alone(kept_in, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    provider, images, kept = Counting(), eight_bit_images(1), KeptMaps()
    for _ in range(2):
        kept.maps(provider, images)
    assert provider.made == 1
    assert not kept_in.exists()


def test_folder_that_takes_no_files_costs_a_warning_alone(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file"))
    provider, images = Counting(), eight_bit_images(1)
    with pytest.warns(UserWarning, match=FOLDER_VARIABLE):
        assert torch.equal(KeptMaps().maps(provider, images), Counting()(images))


def test_memory_forgets_what_was_used_longest_ago(monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    provider, images = Counting(), eight_bit_images(3)
    one = 12 * 16 * 4
    kept = KeptMaps(memory=2 * one)
    for place in (0, 1, 0, 2):  # 1 is the one to go
        kept.maps(provider, images[[place]])
    assert provider.made == 3
    kept.maps(provider, images[[0, 2]])
    assert provider.made == 3
    kept.maps(provider, images[[1]])
    assert provider.made == 4


def test_many_at_once_may_share_a_folder(kept_in):
    images = eight_bit_images(6)
    expected = Counting()(images)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: KeptMaps().maps(Counting(), images), range(12)))
    assert all(torch.equal(maps, expected) for maps in found)
    assert sorted(path.suffix for path in kept_in.rglob("*.*")) == [".npz"] * 6


def test_kept_map_can_be_changed_without_changing_what_is_kept():
    images, kept = eight_bit_images(1), KeptMaps()
    kept.maps(Counting(), images).zero_()
    assert torch.equal(kept.maps(Counting(), images), Counting()(images))


def test_map_of_tracer_is_kept_bit_for_bit(published, kept_in):
    images = eight_bit_images(2, 40, 52)
    tracer = TRACER(input_size=64)
    with torch.inference_mode():
        made = saliency_maps(tracer, images, scene(2))
    assert len(list(kept_in.rglob("*.npz"))) == 2
    KEPT.clear()
    again = saliency_maps(tracer, images, scene(2))
    assert torch.equal(again, made)
    assert torch.equal(again, tracer(images))
    assert not again.is_inference()
