import itertools
import math
import random
from fractions import Fraction

import pytest
import torch

from project.metrics import PerImageMean
from project.metrics.states import exact_sum


def mean_of(*batches):
    metric = PerImageMean()
    for batch in batches:
        metric.update(torch.as_tensor(batch, dtype=torch.float64))
    return metric.compute()


def test_the_mean_of_a_hand_computed_case():
    assert mean_of([1.0, 2.0], [6.0]) == (3.0, 3, 0)


def test_infinite_values_are_counted_apart():
    assert mean_of([40.0, math.inf], [50.0, math.inf, math.inf]) == (45.0, 2, 3)


def test_only_infinite_values_have_no_mean():
    value, finite, infinite = mean_of([math.inf])
    assert math.isnan(value)
    assert (finite, infinite) == (0, 1)


def test_a_nan_is_not_hidden():
    assert math.isnan(mean_of([1.0, math.nan]).value)


def test_the_mean_is_the_same_bit_for_bit_in_any_order_and_batching():
    # Chosen so that a running float64 sum depends on the order.
    values = [1e16, 1.0, -1e16, 1e-3, 3.0]
    running = {sum(order) for order in itertools.permutations(values)}
    assert len(running) > 1
    means = {mean_of(list(order)).value for order in itertools.permutations(values)}
    means |= {mean_of(list(order)[:2], list(order)[2:]).value for order in [values, values[::-1]]}
    assert means == {4.001 / 5}


def test_a_mean_takes_one_value_per_image():
    with pytest.raises(ValueError, match=r"one per image, got \(2, 3\)"):
        PerImageMean().update(torch.zeros(2, 3))


def random_values(count: int) -> list[float]:
    """Return values of all magnitudes and both signs, whose exact sum is far from a rounded one."""
    draw = random.Random(0)
    return [draw.gauss(0, 1) * 2.0 ** draw.randint(-300, 300) for _ in range(count)]


def test_a_few_numbers_have_the_very_sum_of_many():
    for values in (random_values(1000), [1e16, 1.0, -1e16], [0.1] * 10, [5e-324, -1e-310, 1e308]):
        found = exact_sum(values)
        assert sum(map(Fraction, found)) == sum(map(Fraction, values))
        assert len(found) < 30
    assert exact_sum([0.1] * 1000)[0] == math.fsum([0.1] * 1000)
    assert exact_sum([]) == exact_sum([0.0, -0.0]) == exact_sum([1e300, -1e300]) == []
    assert all(map(math.isnan, exact_sum([1.0, math.nan])))


def test_a_mean_is_that_of_all_values_to_the_last_bit_however_many_batches_there_are():
    values = random_values(999)
    expected = math.fsum(values) / len(values)
    for size in (1, 7, 64):
        batches = [values[start : start + size] for start in range(0, len(values), size)]
        assert mean_of(*batches) == (expected, len(values), 0)


def test_a_mean_holds_a_few_numbers_whatever_the_number_of_images():
    metric = PerImageMean()
    for _ in range(1000):
        metric.update(torch.rand(4, dtype=torch.float64))
    held = [*metric.column, *metric._recent]
    assert sum(values.numel() for values in held) < 50


def test_a_mean_starts_anew_after_a_reset():
    metric = PerImageMean()
    metric.update(torch.ones(3))
    metric.reset()
    metric.update(torch.zeros(2))
    assert metric.compute() == (0.0, 2, 0)
