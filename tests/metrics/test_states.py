import itertools
import math

import pytest
import torch

from project.metrics import PerImageMean


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
