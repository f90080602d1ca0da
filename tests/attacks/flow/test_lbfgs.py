"""L-BFGS for many problems at once goes the way of torch's L-BFGS on each alone."""

import pytest
import torch

from project.attacks.flow.solvers.curvature import Curvature
from project.attacks.flow.solvers.lbfgs import LBFGS
from project.attacks.flow.solvers.line_search import LineSearch, Trial


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rosenbrock(points):
    """Return the losses (n,) of points (n, D): a curved valley that bends at every value."""
    left, right = points[:, :-1], points[:, 1:]
    return (100 * (right - left**2) ** 2 + (1 - left) ** 2).sum(1)


def logistic(points):
    features = 3 * normal(60, points.shape[1], seed=1).to(points)
    return torch.nn.functional.softplus(points @ features.T).mean(1) + 1e-3 * points.square().sum(1)


def gentle(points):
    """So level that even a whole gradient is a short first step."""
    return logistic(points) / 50


def kinked(points):
    """A lead over the best of several, as a margin loss has, and a little smoothness."""
    planes = normal(8, points.shape[1], seed=2).to(points)
    offsets = normal(8, seed=3).to(points)
    return (points @ planes.T + offsets).amax(1) + 0.05 * points.square().sum(1)


def wavy(points):
    """Full of local minima, so that line searches lengthen, shrink and interpolate in vain."""
    return (torch.sin(3 * points) + 0.1 * points**2 + 0.3 * torch.cos(7 * points)).sum(1)


def barrier(points):
    """Without a value where any coordinate is negative."""
    return (points - 2 * points.log()).sum(1)


def run(loss, solver, evaluations):
    """Return the evaluated points (evaluations, n, D) and their losses (evaluations, n)."""
    points, losses = [], []
    for _ in range(evaluations):
        values = loss(solver.point)
        (gradient,) = torch.autograd.grad(values.sum(), solver.point)
        points.append(solver.point.detach().clone())
        losses.append(values.detach())
        solver.tell(values, gradient)
    return torch.stack(points), torch.stack(losses)


def torch_points(loss, start, evaluations, history, step_size, limit=None):
    """Return the points (at most ``evaluations``, D) at which torch's L-BFGS asks for the loss.

    Its line searches are limited only by the evaluations that a call has left. So with a ``limit``
    each call is one line search, and begins by asking anew at the point where it stands.
    """
    point, asked = start.clone().requires_grad_(), []
    solver = torch.optim.LBFGS(
        [point],
        lr=step_size,
        max_iter=1 if limit else evaluations,
        max_eval=limit + 1 if limit else 10_000,
        history_size=history,
        line_search_fn="strong_wolfe",
    )

    def closure():
        asked.append(point.detach().clone())
        solver.zero_grad()
        value = loss(point[None])[0]
        value.backward()
        return value

    solver.step(closure)
    for _ in range(evaluations if limit else 0):
        again = len(asked)
        solver.step(closure)
        del asked[again]
    return torch.stack(asked[:evaluations])


@pytest.mark.parametrize(
    ("loss", "size", "history", "step_size"),
    [
        (rosenbrock, 2, 10, 1.0),
        (rosenbrock, 5, 3, 1.0),
        (rosenbrock, 20, 10, 1.0),
        (rosenbrock, 20, 10, 0.1),
        (rosenbrock, 20, 1, 7.0),
        (logistic, 12, 5, 1.0),
        (gentle, 12, 5, 1.0),
        (kinked, 12, 10, 1.0),
        (wavy, 3, 4, 1.0),
        (wavy, 9, 4, 5.0),
    ],
)
def test_points_are_those_of_torch_on_each_problem_alone(loss, size, history, step_size):
    start = 1.5 * normal(5, size, seed=4)
    points, _ = run(loss, LBFGS(start, step_size, history), 40)
    compared = 0
    for place in range(len(start)):
        expected = torch_points(loss, start[place], 40, history, step_size)
        found = points[: len(expected), place]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)
        compared += len(expected)
    assert compared >= 5 * 10


@pytest.mark.parametrize(("limit", "step_size"), [(1, 1.0), (1, 5.0), (2, 5.0), (3, 30.0)])
def test_points_are_those_of_torch_where_line_searches_are_cut_short(limit, step_size):
    start = 1.5 * normal(5, 9, seed=15)
    points, _ = run(rosenbrock, LBFGS(start, step_size, 4, max_line_search=limit), 25)
    for place in range(len(start)):
        expected = torch_points(rosenbrock, start[place], 25, 4, step_size, limit)
        # One that finds nothing lower ends the problem; by torch's limit it may be called again.
        moves = (points[1:, place] != points[:-1, place]).any(1)
        until = int(moves.long().cumprod(0).sum())
        assert until > 3
        torch.testing.assert_close(points[:until, place], expected[:until], rtol=0, atol=1e-8)


def test_logistic_regression_ends_at_its_optimum():
    solver = LBFGS(normal(4, 12))
    _, losses = run(logistic, solver, 150)
    assert solver.resting.all()
    point = solver.point
    (gradient,) = torch.autograd.grad(logistic(point).sum(), point)
    assert gradient.abs().amax() < 1e-4  # strongly convex: no other point is as flat
    torch.testing.assert_close(losses[-1], losses[-1, :1].expand(4), rtol=0, atol=1e-7)


# Their sums are bit for bit the same in a stack; a matrix product would not be.
@pytest.mark.parametrize("loss", [rosenbrock, wavy])
def test_problem_does_not_depend_on_its_mates(loss):
    start = 1.5 * normal(6, 7, seed=5)
    together, _ = run(loss, LBFGS(start, history=4), 60)
    for place in range(6):
        alone, _ = run(loss, LBFGS(start[place : place + 1], history=4), 60)
        assert torch.equal(alone[:, 0], together[:, place])


def test_problems_that_stay_go_on_as_if_none_had_left():
    start = 1.5 * normal(6, 7, seed=6)
    whole, _ = run(rosenbrock, LBFGS(start, history=4), 45)
    solver, rows, begin = LBFGS(start, history=4), torch.arange(6), 0
    for leaving, evaluations in ((2, 1), (0, 8), (4, 1), (3, 35)):
        solver.shrink_to(rows != leaving)
        rows = rows[rows != leaving]
        points, _ = run(rosenbrock, solver, evaluations)
        assert torch.equal(points, whole[begin : begin + evaluations, rows])
        begin += evaluations
    assert rows.tolist() == [1, 5]
    assert solver.point.shape == (2, 7)
    assert solver.point.is_leaf
    assert solver.point.requires_grad


def test_points_may_have_any_shape():
    start = normal(3, 12)
    flat, _ = run(rosenbrock, LBFGS(start), 20)
    shaped, _ = run(lambda p: rosenbrock(p.flatten(1)), LBFGS(start.view(3, 2, 2, 3)), 20)
    assert torch.equal(shaped.flatten(2), flat)


def test_flat_problem_stays_and_its_mates_move():
    start = torch.tensor([[0.0, 0.0], [2.0, -1.0]], dtype=torch.float64)
    points, _ = run(lambda p: (1 - (-p.square().sum(1)).exp()) + p.prod(1) ** 2, LBFGS(start), 30)
    assert torch.equal(points[:, 0], torch.zeros(30, 2, dtype=torch.float64))
    assert points[-1, 1].abs().amax() < 1e-3


def test_converged_problem_rests_at_its_best_point():
    start = 1.5 * normal(5, 3, seed=7)
    solver = LBFGS(start)
    _, losses = run(rosenbrock, solver, 150)
    assert solver.resting.all()
    rested = solver.point.detach().clone()
    later, later_losses = run(rosenbrock, solver, 40)
    assert torch.equal(later, rested.expand_as(later))
    torch.testing.assert_close(later_losses[-1], losses.amin(0), rtol=0, atol=1e-9)


def test_line_search_that_finds_nothing_lower_leaves_the_point():
    # The gradient points the wrong way: every trial is worse than the start.
    solver = LBFGS(torch.ones(1, 2, dtype=torch.float64), max_line_search=6)
    for _ in range(20):
        solver.tell(solver.point.detach().square().sum(1), -2 * solver.point.detach())
    assert solver.resting.all()
    assert torch.equal(solver.point.detach(), torch.ones(1, 2, dtype=torch.float64))


def test_line_search_ends_after_its_last_trial():
    # Always equally steep: the first search only lengthens its step, and takes the last trial.
    points, _ = run(lambda p: -p.sum(1), LBFGS(torch.zeros(1, 1), max_line_search=3), 8)
    steps = points[:, 0, 0]
    assert (steps[:5].diff() > 0).all()  # the first trial and three more
    assert steps[5] == steps[4] + 1  # a new line, from there, with its first step
    assert (steps[5:].diff() > 0).all()


def test_line_search_cut_short_goes_on_from_its_best_trial_with_the_gradient_there():
    solver = LBFGS(torch.zeros(1, 1, dtype=torch.float64), max_line_search=1)
    told = [(1.0, -1.0), (0.5, 1.5), (0.7, -0.3)]  # at 0, at 1, and in between, where it is worse
    for loss, slope in told:
        solver.tell(torch.tensor([loss]).double(), torch.tensor([[slope]]).double())
    # From 1 against its slope of 1.5, times the step of 1 over the change of slope of 2.5.
    torch.testing.assert_close(solver.point.detach(), torch.tensor([[0.4]]).double())


@pytest.mark.parametrize("beyond", [float("nan"), float("inf"), float("-inf")])
def test_trial_without_a_finite_loss_is_too_long_a_step(beyond):
    def loss(points):
        values = barrier(points.clamp(min=1e-300))
        return torch.where((points > 0).all(1), values, beyond)

    start = torch.tensor([[0.05, 9.0], [3.0, 0.01], [1e-3, 1e-3]], dtype=torch.float64)
    points, losses = run(loss, LBFGS(start, step_size=1.0), 90)
    assert not losses.isfinite().all()
    torch.testing.assert_close(
        points[-1], torch.full((3, 2), 2.0, dtype=torch.float64), rtol=0, atol=1e-4
    )


def test_gradient_that_is_not_finite_is_too_long_a_step():
    solver = LBFGS(torch.full((2, 2), 4.0, dtype=torch.float64))
    for evaluation in range(60):
        point = solver.point.detach()
        gradient = 2 * (point - 1)
        if evaluation == 1:
            gradient[0] = float("nan")
        solver.tell((point - 1).square().sum(1), gradient)
    torch.testing.assert_close(solver.point.detach(), torch.ones(2, 2, dtype=torch.float64))


def test_problem_without_a_finite_start_stays():
    start = torch.tensor([[-1.0, 2.0], [0.5, 0.5]], dtype=torch.float64)
    points, _ = run(barrier, LBFGS(start), 40)
    assert torch.equal(points[:, 0], start[0].expand(40, 2))
    torch.testing.assert_close(points[-1, 1], torch.full((2,), 2.0).double(), rtol=0, atol=1e-4)


def test_single_precision_gets_as_low():
    start = 1.5 * normal(6, 30, seed=8)
    _, double = run(logistic, LBFGS(start), 80)
    points, single = run(logistic, LBFGS(start.float()), 80)
    assert points.dtype == torch.float32
    torch.testing.assert_close(single[-1].double(), double[-1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("pairs", [1, 2, 4, 7])
def test_direction_is_that_of_the_dense_bfgs_matrix(pairs):
    size, history = 9, 4
    root = normal(3, size, size, seed=9)
    hessian = root @ root.mT + torch.eye(size)
    curvature = Curvature(torch.zeros(3, size, dtype=torch.float64), history)
    gradient = normal(3, size, seed=10)
    steps = [normal(3, size, seed=20 + number) for number in range(pairs)]
    changes = [(hessian @ step[:, :, None])[:, :, 0] for step in steps]
    for step, change in zip(steps, changes, strict=True):
        gradient = gradient + change
        found = curvature.turned(step, change, (step * change).sum(1), gradient)
    for row in range(3):
        last = [(s[row], y[row]) for s, y in zip(steps, changes, strict=True)][-history:]
        expected = -dense_inverse(last) @ gradient[row]
        torch.testing.assert_close(found[row], expected, rtol=1e-9, atol=1e-9)


def dense_inverse(pairs):
    """Nocedal & Wright, eq. (7.16) and (7.20), pair by pair from the oldest."""
    step, change = pairs[-1]
    identity = torch.eye(len(step), dtype=torch.float64)
    inverse = identity * (step @ change) / (change @ change)
    for step, change in pairs:
        weight = 1 / (step @ change)
        cut = identity - weight * torch.outer(change, step)
        inverse = cut.T @ inverse @ cut + weight * torch.outer(step, step)
    return inverse


def test_problem_that_learns_nothing_keeps_its_curvature():
    curvature = Curvature(torch.zeros(2, 5, dtype=torch.float64), 3)
    gradient, step = normal(2, 5, seed=11), normal(2, 5, seed=12)
    for second, sign in ((False, 1), (True, -1)):  # a step up the slope tells of no curvature
        moved = sign * step * torch.tensor([[True], [second]])
        found = curvature.turned(moved, 2 * step, 2 * (moved * step).sum(1), gradient)
        torch.testing.assert_close(found, -gradient / torch.tensor([[2.0], [1.0]]))


def test_ended_searches_satisfy_the_strong_wolfe_conditions():
    count = 400
    place, first = 6 * normal(count, seed=13), 10 ** normal(count, seed=14)

    def along(step):
        step = step.clone().requires_grad_()
        value = wavy((place + step)[:, None])
        (slope,) = torch.autograd.grad(value.sum(), step)
        return value.detach(), slope

    loss, slope = along(torch.zeros(count, dtype=torch.float64))
    sign = -slope.sign()  # of each direction
    start = Trial(torch.zeros_like(loss), loss, slope * sign)
    search = LineSearch(start, first, torch.ones(count), limit=40, tolerance=1e-9)
    best, over = start, torch.zeros(count, dtype=torch.bool)
    for _ in range(41):
        loss, slope = along(search.step * sign)
        _, ended = search.tell(loss, slope * sign)
        best = search.best.where(ended & ~over, best)
        over |= ended
    assert over.all()
    assert (best.loss <= start.loss + 1e-4 * best.step * start.slope).all()
    assert (best.slope.abs() <= -0.9 * start.slope).all()
    torch.testing.assert_close(along(best.step * sign)[0], best.loss, rtol=0, atol=0)


@pytest.mark.parametrize("wrong", [{"history": 0}, {"max_line_search": 0}, {"step_size": 0.0}])
def test_arguments_out_of_range_are_rejected(wrong):
    with pytest.raises(ValueError, match=r"history and max_line_search must be at least 1.*got"):
        LBFGS(torch.zeros(1, 2), **wrong)
