"""DeCowA's warp: scipy's thin plate through the moved vertices, and what it leaves where it is."""

import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import map_coordinates

from project.attacks import Deformation
from project.core.randomness import Draws

HEIGHT, WIDTH = 20, 31


@pytest.mark.parametrize("mesh", [3, 5])
def test_deformation_is_scipys_thin_plate_through_the_moved_vertices(mesh: int):
    transform = Deformation(mesh, 0.4, "mirrored", copies=2)
    draws = Draws(torch.arange(3), "test")
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 3, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    side = np.linspace(-1, 1, mesh)
    vertices = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)  # (x, y), row by row
    inner = (np.abs(vertices) < 1 - 1e-9).all(1)
    rows, columns = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), indexing="ij")
    pixels = np.stack([(2 * columns + 1) / WIDTH - 1, (2 * rows + 1) / HEIGHT - 1], -1)
    for number, view in enumerate(transform.views(draws)):
        chances = draws.keyed("copy", number).uniform(2, (mesh - 2) ** 2).double().numpy()
        shown = view.change(images)
        for n in range(3):
            moved = vertices.copy()
            moved[inner] += 0.4 * (2 * chances[n].T - 1)
            plate = RBFInterpolator(vertices, moved, kernel="thin_plate_spline", degree=1)
            x, y = plate(pixels.reshape(-1, 2)).T
            places = [((y + 1) * HEIGHT - 1) / 2, ((x + 1) * WIDTH - 1) / 2]
            for channel in range(3):
                # scipy's "reflect" mirrors at the pixels' edges.
                expected = map_coordinates(
                    images[n, channel].numpy(), places, order=1, mode="reflect"
                )
                found = shown[n, channel].flatten().numpy()
                np.testing.assert_allclose(found, expected, atol=1e-6)


def test_edges_of_the_image_stay_and_its_middle_goes_as_far_as_drawn():
    (view,) = Deformation(3, 0.5, copies=1).views(Draws(torch.arange(50), "test"))
    rows = torch.arange(101).view(1, 101, 1).expand(50, 101, 101)
    moved = view.follow(rows, 255)
    assert (moved[:, 0, 50] == 0).all()
    assert (moved[:, 100, 50] == 100).all()
    from_middle = (moved[:, 50, 50] - 50) / 101
    assert 0.2 < from_middle.abs().max() <= 0.25 + 0.01
    assert from_middle.min() < -0.1 < 0.1 < from_middle.max()


@pytest.mark.parametrize("make", [lambda: Deformation(2), lambda: Deformation(strength=0.0)])
def test_what_bends_nothing_is_refused(make):
    with pytest.raises(ValueError, match="mesh must be at least 3"):
        make()
