"""Sampling at places: torch's own operations, and edges that are mirrors or the end."""

import pytest
import torch
import torch.nn.functional as F

from project.images.sampling import inside, nearest, pick, sample


def reflected(place: float, length: int) -> float:
    """Reflect a place at the edges, 0 and ``length``, until it lies between them."""
    while not 0 <= place <= length:
        place = -place if place < 0 else 2 * length - place
    return min(max(place, 0.5), length - 0.5)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_mirrored_places_are_reflected_however_far_they_are(length: int):
    places = torch.linspace(-40, 40, 401, dtype=torch.float64)
    found, beyond = inside(places.clone(), torch.tensor(length), "mirrored")
    assert beyond is None
    expected = [reflected(place, length) for place in places.tolist()]
    torch.testing.assert_close(found, torch.tensor(expected).double())


def test_nothing_lies_beyond_the_edges_of_zeros():
    places = torch.tensor([-0.01, 0.0, 0.2, 3.9, 4.0, 9.0])
    found, beyond = inside(places, torch.tensor(4), "zeros")
    assert beyond is not None
    assert beyond.tolist() == [True, False, False, False, True, True]
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5, 0.5, 3.5, 3.5, 3.5]))


def test_sampling_at_the_middles_of_a_larger_grid_is_resizing():
    images = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    rows = ((torch.arange(10).double() + 0.5) / 2)[:, None].expand(2, 10, 21).clone()
    columns = ((torch.arange(21).double() + 0.5) / 3).expand(2, 10, 21).clone()
    place = nearest(rows, columns, 7)
    expected = F.interpolate(images, (10, 21), mode="bilinear")
    torch.testing.assert_close(sample(images, rows, columns, "border"), expected)
    assert torch.equal(pick(images, place), F.interpolate(images, (10, 21), mode="nearest"))
    assert torch.equal(pick(images[:, 0], place), pick(images, place)[:, 0])
