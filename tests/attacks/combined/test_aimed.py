"""Targeted attacks behind labels: what is wanted, and how much of it is reached."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from project.attacks import (
    PGD,
    Aim,
    Aimed,
    FixedClass,
    NearestWrongClass,
    SegPGD,
    TargetMaps,
)
from project.callbacks import AttackCallback
from project.core.identity import describe
from tests.models import CLASSES, CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

EPS = 8 / 255
TARGETED = PGD(EPS, steps=10, targeted=True)


@pytest.fixture
def scene() -> tuple[CurvedSegmenter, Tensor, Tensor]:
    victim, images = CurvedSegmenter(), eight_bit_images(2)
    target = predicted(victim, images)
    target[:, :2, :5] = 255
    return victim, images, target


class FakeSamples:
    """Photos of 12 × 16 pixels, each in a frame of its own: shifted by its index."""

    def name(self, index: int) -> str:
        return f"photo_{index}"

    def align_labels(self, labels, index: int, /) -> Tensor:
        return torch.from_numpy(labels.astype(np.int64)).roll(index, 1)


def save(folder, index: int, classes: Tensor, palette: bool = False) -> None:
    image = Image.fromarray(classes.to(torch.uint8).numpy())
    if palette:
        image.putpalette([7, 80, 200] * 256)
    image.save(folder / f"photo_{index}.png")


def test_images_are_those_of_the_targeted_attack_on_the_wanted_classes(scene):
    victim, images, target = scene
    wanted = torch.full_like(target, 2).where(target != 255, 255)
    aimed = Aimed(TARGETED, FixedClass(2))
    assert torch.equal(aimed(victim, images, target), TARGETED(victim, images, wanted))


def test_reached_is_the_share_of_valid_pixels_predicted_as_wanted(scene):
    victim, images, target = scene
    result = Aimed(TARGETED, FixedClass(2)).run(victim, images, target)
    hit = predicted(victim, result.images) == 2
    for place in range(2):
        share = hit[place][target[place] != 255].float().mean()
        assert result.facts["reached"][place].item() == pytest.approx(share.item())
        before = (predicted(victim, images)[place] == 2)[target[place] != 255].float().mean()
        assert share > before


def test_success_is_judged_by_the_labels(scene):
    victim, images, target = scene
    result = Aimed(TARGETED, NearestWrongClass()).run(victim, images, target)
    right = predicted(victim, result.images) == target
    for place in range(2):
        share = 1 - right[place][target[place] != 255].float().mean()
        assert result.fooled[place].item() == pytest.approx(share.item())


def test_nearest_wrong_class_is_the_runner_up_or_the_wrong_leader():
    logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [0.0, 1.0, 5.0]])
    target = torch.tensor([0, 1, 2])
    wanted = NearestWrongClass().wanted(logits, target, torch.arange(3))
    assert wanted.tolist() == [1, 0, 1]
    logits = logits.T[None, :, None]  # the same as one image of three pixels
    maps = torch.tensor([[[0, 255, 2]]])
    assert NearestWrongClass().wanted(logits, maps, torch.arange(1))[0, 0, ::2].tolist() == [1, 1]


def test_nearest_wrong_class_is_easier_to_reach_than_the_farthest(scene):
    class Farthest(Aim):
        def wanted(self, logits: Tensor, target: Tensor, index: Tensor) -> Tensor:
            return logits.argmin(1)

    victim, images, target = scene
    near = Aimed(PGD(2 / 255, 1 / 255, targeted=True), NearestWrongClass())
    far = Aimed(PGD(2 / 255, 1 / 255, targeted=True), Farthest())
    reached = [a.run(victim, images, target).facts["reached"] for a in (near, far)]
    assert (reached[0] > reached[1]).all()


def test_classifier_is_led_to_the_class():
    victim, images = CurvedClassifier(), eight_bit_images(4)
    result = Aimed(TARGETED, FixedClass(3)).run(victim, images, predicted(victim, images))
    hit = predicted(victim, result.images) == 3
    assert torch.equal(result.facts["reached"], hit.float())
    assert hit.any()


@pytest.mark.parametrize("palette", [False, True])
def test_target_maps_are_found_by_name_and_their_void_wants_nothing(scene, tmp_path, palette):
    victim, images, target = scene
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(0, CLASSES, (2, 12, 16), generator=generator)
    maps[:, 5] = 255
    for place, number in enumerate((7, 4)):
        save(tmp_path, number, maps[place].roll(-number, 1), palette)
    aimed = Aimed(SegPGD(EPS, steps=3, targeted=True), TargetMaps(str(tmp_path)))
    aimed.attach(FakeSamples())
    index = torch.tensor([7, 4])
    wanted = maps.where(target != 255, 255)
    assert torch.equal(
        aimed(victim, images, target, index), aimed.attack(victim, images, wanted, index)
    )


def test_image_of_which_nothing_is_wanted_stays_as_it_started(scene, tmp_path):
    victim, images, target = scene
    for index in range(2):
        save(tmp_path, index, torch.full((12, 16), 255))
    attack = PGD(EPS, steps=3, targeted=True, random_start=False)
    aimed = Aimed(attack, TargetMaps(str(tmp_path)))
    aimed.attach(FakeSamples())
    result = aimed.run(victim, images, target)
    assert torch.equal(result.images, images)
    assert result.facts["reached"].tolist() == [0.0, 0.0]


def test_changed_target_maps_are_another_attack(tmp_path):
    found = []
    for number in (1, 2):
        save(tmp_path, 0, torch.full((12, 16), number))
        found.append(describe(Aimed(TARGETED, TargetMaps(str(tmp_path)))))
    assert found[0] != found[1]


def test_missing_maps_are_named(scene, tmp_path):
    aimed = Aimed(TARGETED, TargetMaps(str(tmp_path)))
    with pytest.raises(ValueError, match="attach a data set first"):
        aimed(*scene)
    aimed.attach(FakeSamples())
    with pytest.raises(FileNotFoundError, match=r"no target map .*photo_0\.png for sample 0"):
        aimed(*scene)
    with pytest.raises(FileNotFoundError, match="one PNG target map for each photo"):
        Aimed(TARGETED, TargetMaps(str(tmp_path / "nowhere"))).attach(FakeSamples())


def test_map_in_colours_is_refused(scene, tmp_path):
    Image.new("RGB", (16, 12)).save(tmp_path / "photo_0.png")
    aimed = Aimed(TARGETED, TargetMaps(str(tmp_path)))
    aimed.attach(FakeSamples())
    with pytest.raises(ValueError, match=r"photo_0\.png: .*one 8-bit class id.*mode 'RGB'"):
        aimed(*scene)


def test_maps_of_another_size_are_refused(scene, tmp_path):
    for index in range(2):
        save(tmp_path, index, torch.zeros(4, 4))
    aimed = Aimed(TARGETED, TargetMaps(str(tmp_path)))
    aimed.attach(FakeSamples())
    with pytest.raises(ValueError, match=r"a wanted class for each label, \(2, 12, 16\), got"):
        aimed(*scene)


def test_target_maps_refuse_a_classifier(tmp_path):
    victim, images = CurvedClassifier(), eight_bit_images(1)
    with pytest.raises(ValueError, match="needs a segmenter"):
        Aimed(TARGETED, TargetMaps(str(tmp_path)))(victim, images, predicted(victim, images))


def test_class_that_the_victim_has_not_is_refused(scene):
    with pytest.raises(ValueError, match=r"wanted classes must lie in 0 … 3.*got 4 … 4"):
        Aimed(TARGETED, FixedClass(4))(*scene)
    with pytest.raises(ValueError, match="number must be a class"):
        FixedClass(-1)


def test_untargeted_attack_is_refused():
    with pytest.raises(ValueError, match="needs a targeted attack, got an untargeted SegPGD"):
        Aimed(SegPGD(), FixedClass(0))


def test_experiment_refuses_targeted_attacks_and_takes_them_aimed():
    with pytest.raises(ValueError, match="wrap each in Aimed"):
        AttackCallback({"to_nowhere": TARGETED})
    AttackCallback({"to_0": Aimed(TARGETED, FixedClass(0))})
