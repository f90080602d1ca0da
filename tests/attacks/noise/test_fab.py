"""FAB: its projections against solvers, its search against closed forms and a slow reference."""

import pytest
import torch
from scipy.optimize import linprog, minimize
from torch import Tensor, nn

from project.attacks import FAB
from project.attacks.noise.fab import nearest_boundary, onto_hyperplane
from project.core.errors import InputError
from project.core.losses import wrong_class
from tests.models import CurvedClassifier, eight_bit_images, predicted

NORMS = pytest.mark.parametrize("norm", ["linf", "l2"])


def sized(values: Tensor, norm: str) -> Tensor:
    """Return sizes (N,) of (N, ...)."""
    flat = values.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def planes() -> tuple[Tensor, Tensor, Tensor]:
    """Return points, some on the border, normals, partly 0, and rises, some out of reach."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(24, 9, generator=generator, dtype=torch.float64)
    points[:, :3] = points[:, :3].round()
    normals = torch.randn(24, 9, generator=generator, dtype=torch.float64)
    normals[:, ::4] = 0
    rises = 2 * torch.randn(24, generator=generator, dtype=torch.float64)
    return points, normals, rises


def most(points: Tensor, normals: Tensor, rises: Tensor) -> Tensor:
    """Return how far any move inside the range climbs, towards the rise's sign."""
    steep = normals * rises.sign()[:, None]
    return torch.where(steep > 0, steep * (1 - points), -steep * points).sum(1)


@NORMS
def test_move_reaches_the_hyperplane_inside_the_range_or_goes_as_far_as_it_can(norm):
    points, normals, rises = planes()
    moves = onto_hyperplane(points, normals, rises, norm)
    assert ((points + moves) >= -1e-12).all()
    assert ((points + moves) <= 1 + 1e-12).all()
    assert (moves[normals == 0] == 0).all()
    farthest = most(points, normals, rises)
    assert 0 < (farthest < rises.abs()).sum() < len(rises)
    gained = (moves * normals).sum(1) * rises.sign()
    torch.testing.assert_close(gained, torch.minimum(rises.abs(), farthest))


def test_linf_move_is_as_short_as_a_linear_program_finds():
    points, normals, rises = planes()
    moves = onto_hyperplane(points, normals, rises, "linf")
    solved = 0
    for point, normal, rise, move in zip(points, normals, rises, moves, strict=True):
        count = len(point)
        unit, ones = torch.eye(count).numpy(), torch.ones(count, 1).numpy()
        found = linprog(
            [0.0] * count + [1.0],
            A_ub=[[*a, *b] for a, b in zip([*unit, *-unit], [*-ones, *-ones], strict=True)],
            b_ub=[0.0] * (2 * count),
            A_eq=[[*normal.tolist(), 0.0]],
            b_eq=[float(rise)],
            bounds=[(-x, 1 - x) for x in point.tolist()] + [(0, None)],
        )
        if found.success:
            solved += 1
            assert float(move.abs().max()) == pytest.approx(found.x[-1], abs=1e-9)
    assert solved > 12


def test_l2_move_is_the_one_a_general_solver_finds():
    points, normals, rises = planes()
    moves = onto_hyperplane(points, normals, rises, "l2")
    reachable = most(points, normals, rises) > rises.abs()
    for place in reachable.nonzero()[:8, 0].tolist():
        point, normal = points[place].numpy(), normals[place].numpy()
        rise = float(rises[place])
        found = minimize(
            lambda move: (move**2).sum(),
            0 * point,
            jac=lambda move: 2 * move,
            bounds=[(-x, 1 - x) for x in point],
            constraints={
                "type": "eq",
                "fun": lambda move, n=normal, r=rise: n @ move - r,
                "jac": lambda move, n=normal: n,
            },
            method="SLSQP",
            options={"ftol": 1e-14},
        )
        torch.testing.assert_close(moves[place], torch.from_numpy(found.x), atol=1e-5, rtol=0)


@NORMS
def test_flat_hyperplane_moves_nothing(norm):
    points, normals, rises = planes()
    moves = onto_hyperplane(points, 0 * normals, rises, norm)
    assert torch.equal(moves, torch.zeros_like(points))


class Linear(nn.Module):
    num_classes = 3

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.weight = torch.randn(3 * 8 * 8, 3, generator=generator, dtype=torch.float64)
        self.bias = torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64)

    def forward(self, images: Tensor) -> Tensor:
        return (images - 0.5).flatten(1) @ self.weight + self.bias


def least_distance(victim: Linear, images: Tensor, labels: Tensor, norm: str) -> Tensor:
    """Return the distance to the nearest boundary, by duality: |lead| / dual norm."""
    logits, found = victim(images), []
    for place, label in enumerate(labels.tolist()):
        others = [k for k in range(3) if k != label]
        normals = [victim.weight[:, k] - victim.weight[:, label] for k in others]
        leads = [float(logits[place, label] - logits[place, k]) for k in others]
        order = 1 if norm == "linf" else 2
        found.append(
            min(lead / float(n.norm(order)) for lead, n in zip(leads, normals, strict=True))
        )
    return torch.tensor(found, dtype=torch.float64)


@NORMS
def test_smallest_perturbation_of_a_linear_classifier_is_its_distance_to_the_boundary(norm):
    victim, images = Linear(), eight_bit_images(6, 8, 8).double()
    labels = predicted(victim, images)
    logits = victim(images)
    sizes = [
        nearest_boundary(victim, images, labels, wrong_class(logits, labels, rank), norm, 40).size
        for rank in (1, 2)
    ]
    least = least_distance(victim, images, labels, norm)
    found = torch.minimum(*sizes)
    assert (found >= least * (1 - 1e-9)).all()
    torch.testing.assert_close(found, least, rtol=0.01, atol=0)


def slow_search(victim, clean: Tensor, label: int, wanted: int, norm: str, steps: int):
    """Algorithm 1 for one image (3, H, W), the moves by bisection over their multiplier."""
    here, best = clean, (float("inf"), None)
    for _ in range(steps):
        point = here.clone().requires_grad_()
        logits = victim(point[None])[0]
        lead = logits[wanted] - logits[label]
        (w,) = torch.autograd.grad(lead, point)
        lead = lead.detach()
        from_here = bisected(here, w, -lead, norm)
        from_clean = bisected(clean, w, -lead + (w * (here - clean)).sum(), norm)
        one, other = (sized(d[None], norm).clamp(min=1e-8) for d in (from_here, from_clean))
        alpha = min(float(one / (one + other)), 0.1)
        here = (1 - alpha) * (here + 1.05 * from_here) + alpha * (clean + 1.05 * from_clean)
        here = here.clamp(0, 1)
        if int(victim(here[None])[0].argmax()) != label:
            size = float(sized((here - clean)[None], norm))
            best = min(best, (size, here), key=lambda pair: pair[0])
            here = clean + 0.9 * (here - clean)
    return best


def bisected(point: Tensor, w: Tensor, rise: Tensor, norm: str) -> Tensor:
    low, high = 0.0, 1e6
    toward = w * rise.sign()

    def move(multiplier: float) -> Tensor:
        wish = multiplier * (toward.sign() if norm == "linf" else toward)
        return (point + wish).clamp(0, 1) - point

    for _ in range(200):
        middle = (low + high) / 2
        enough = (move(middle) * toward).sum() >= rise.abs()
        low, high = (low, middle) if enough else (middle, high)
    return move(high)


@NORMS
def test_search_is_that_of_the_algorithm_run_image_by_image(norm):
    victim, images = CurvedClassifier((4, 5)).eval().double(), eight_bit_images(3, 4, 5).double()
    labels = predicted(victim, images)
    wanted = wrong_class(victim(images), labels, 1)
    found = nearest_boundary(victim, images, labels, wanted, norm, 12)
    for place in range(3):
        size, adversarial = slow_search(
            victim, images[place], int(labels[place]), int(wanted[place]), norm, 12
        )
        assert float(found.size[place]) == pytest.approx(size, rel=1e-6)
        torch.testing.assert_close(
            images[place] + found.perturbation[place], adversarial, atol=1e-7, rtol=0
        )


@NORMS
def test_image_is_fooled_exactly_where_its_distance_is_within_eps(norm):
    victim, images = Linear(), eight_bit_images(24, 8, 8, seed=2).double()
    labels = predicted(victim, images)
    least = least_distance(victim, images, labels, norm)
    eps = float(least.median()) * 1.02
    result = FAB(eps, 40, norm).run(victim, images, labels)
    assert (sized(result.float_images - images, norm) <= eps * (1 + 1e-6)).all()
    assert not result.success[least > eps].any()
    assert result.success_float[least < 0.98 * eps].all()
    assert set(result.facts["rank"][~result.success].tolist()) == {-1.0}


def test_what_rounding_undoes_is_stretched_until_it_holds():
    # Half a level would do, and rounds to none.
    class Half(nn.Module):
        num_classes = 2

        def forward(self, images: Tensor) -> Tensor:
            lead = (images - 128 / 255).flatten(1).mean(1) * 255 - 0.4
            return torch.stack([0 * lead, lead], 1)

    images = torch.full((2, 3, 4, 4), 128 / 255, dtype=torch.float64)
    labels = torch.zeros(2, dtype=torch.int64)
    found = nearest_boundary(Half(), images, labels, labels + 1, "linf", 20)
    assert (255 * found.size < 0.45).all()
    result = FAB(8 / 255, 20).run(Half(), images, labels)
    assert result.success.all()
    change = 255 * sized(result.images - images, "linf")
    torch.testing.assert_close(change, torch.ones_like(change))  # not all of eps
    assert not FAB(0.45 / 255, 20).run(Half(), images, labels).success.any()


def test_smallest_perturbation_of_a_curved_classifier_shrinks_with_more_steps():
    victim, images = CurvedClassifier().eval().double(), eight_bit_images(8).double()
    labels = predicted(victim, images)
    wanted = wrong_class(victim(images), labels, 1)
    few, many = (
        nearest_boundary(victim, images, labels, wanted, "linf", steps).size for steps in (3, 30)
    )
    assert (many <= few).all()
    assert many.isfinite().all()
    assert (many < few).any()


def test_wrong_classes_are_ranked_without_the_label():
    logits = torch.tensor([[5.0, 1.0, 3.0, 2.0], [0.0, 1.0, 2.0, 3.0]])
    labels = torch.tensor([0, 2])
    ranked = [wrong_class(logits, labels, rank).tolist() for rank in (1, 2, 3)]
    assert ranked == [[2, 3], [3, 1], [1, 0]]
    maps = logits.t()[None, :, :, None]
    void = torch.tensor([[[0], [255]]])
    assert wrong_class(maps, void, 1)[0, 0].tolist() == [2]


def test_all_wrong_classes_are_tried_where_there_are_fewer_than_asked_for():
    class Asked(CurvedClassifier):
        questions = 0

        def forward(self, images: Tensor) -> Tensor:
            self.questions += 1
            # Whatever the image, its label wins.
            return super().forward(images) + 1e3 * torch.eye(4)[0]

    images, labels = eight_bit_images(2), torch.zeros(2, dtype=torch.int64)
    costs = []
    for classes in (1, 3, 9):
        victim = Asked().eval()
        FAB(steps=2, classes=classes)(victim, images, labels)
        costs.append(victim.questions - 1)
    assert costs[1] == costs[2] == 3 * costs[0]


def test_image_that_is_wrong_already_is_left_alone():
    victim, images = CurvedClassifier().eval(), eight_bit_images(3)
    labels = predicted(victim, images)
    labels[1] = (labels[1] + 1) % 4
    result = FAB(steps=5).run(victim, images, labels)
    assert torch.equal(result.images[1], images[1])
    assert result.success[1]
    assert (result.steps[1], result.facts["rank"][1]) == (0, -1)


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"classes": 0}, {"eps": 0.0}, {"norm": "l1"}])
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(InputError):
        FAB(**arguments)
