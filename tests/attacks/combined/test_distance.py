"""Distances that attacks descend."""

import pickle
import warnings
from urllib.error import URLError

import lpips
import pytest
import torch

from project.attacks import SSTA, BestOf, Refined
from project.attacks.combined import distance as module
from project.attacks.combined.distance import distance_named, require_distance, squared_error
from project.core.errors import InputError
from tests.models import eight_bit_images


class Weightless:
    """LPIPS as it is, with random weights of its backbone."""

    name = "lpips_squeeze"
    smallest = 17

    def __init__(self) -> None:
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lpips calls torchvision's older interface
            torch.manual_seed(0)
            self.network = lpips.LPIPS(
                net="squeeze", pnet_rand=True, pretrained=False, verbose=False
            ).eval()


@pytest.fixture
def random_lpips(monkeypatch):
    metric = Weightless()
    monkeypatch.setattr(module, "_metric", lambda net: metric)
    return metric


def test_squared_error_is_in_grey_levels():
    clean = eight_bit_images(2)
    moved = clean.clone()
    moved[1, 0, 0, 0] += 12 / 255
    expected = torch.tensor([0, 144 / (3 * 12 * 16)])
    torch.testing.assert_close(squared_error(clean, moved), expected)


def test_lpips_has_a_gradient_and_takes_images_from_minus_1_to_1(random_lpips):
    clean, images = eight_bit_images(2, 32, 32), eight_bit_images(2, 32, 32, seed=1)
    images.requires_grad_()
    found = distance_named("lpips_squeeze")(clean, images)
    expected = random_lpips.network(clean, images, normalize=True).flatten()
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found.sum(), images)
    assert gradient.abs().max() > 0


def test_lpips_is_computed_in_float32_whatever_comes(random_lpips):
    clean, images = eight_bit_images(1, 32, 32), eight_bit_images(1, 32, 32, seed=1)
    plain = distance_named("lpips_squeeze")(clean, images)
    double = distance_named("lpips_squeeze")(clean.double(), images.double())
    assert double.dtype == torch.float64
    assert torch.equal(double.float(), plain)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(distance_named("lpips_squeeze")(clean, images), plain)


def test_image_too_small_for_lpips_is_refused(random_lpips):
    with pytest.raises(InputError, match="at least 17×17 pixels, got 12×16"):
        distance_named("lpips_squeeze")(eight_bit_images(1), eight_bit_images(1))


def test_missing_weights_are_told_before_anything_is_attacked(monkeypatch, tmp_path):
    def offline(url: str) -> None:
        raise URLError("no network")

    monkeypatch.setattr(module, "published", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for attack in (
        Refined(SSTA(), distance="lpips_alex"),
        BestOf([SSTA(), SSTA(profile="repaired")], distance="lpips_alex"),
    ):
        with pytest.raises(InputError, match=r"needs the backbone weights alexnet-.*no network"):
            attack.attach(None)
    require_distance("mse")


def test_refined_attack_can_be_sent_to_another_process():
    pickle.loads(pickle.dumps(Refined(SSTA(), distance="lpips_squeeze")))
