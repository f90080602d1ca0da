import math

import pytest
import torch

from project.metrics import CountedRate, Rate, wilson_interval


def test_a_rate_counts_hits_among_those_that_qualify():
    rate = Rate()
    rate.update(torch.tensor([True, True, False]), torch.tensor([True, False, True]))
    rate.update(torch.tensor([True]))
    assert rate.compute()[:1] == (2 / 3,)
    assert rate.compute()[3:] == (2, 3)


def test_the_interval_covers_the_rate_and_has_a_width_at_both_ends():
    for hits in (0, 1, 9, 10):
        interval = wilson_interval(hits, 10)
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
        assert interval.high - interval.low > 0.2


def test_a_rate_of_nothing_is_nan_and_says_so():
    rate = Rate()
    rate.update(torch.tensor([True]), torch.tensor([False]))
    interval = rate.compute()
    assert math.isnan(interval.value)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert (interval.hits, interval.total) == (0, 0)


def test_counts_beyond_float32_are_exact():
    rate = Rate()
    rate.hits += 2**24
    rate.total += 2**24
    rate.update(torch.tensor([True]))
    assert rate.compute().hits == 2**24 + 1


def test_a_rate_refuses_logits_and_unequal_shapes():
    with pytest.raises(TypeError, match=r"must be boolean, got torch\.float32"):
        Rate().update(torch.tensor([0.3]))
    with pytest.raises(ValueError, match=r"one shape, got \(2,\) and \(3,\)"):
        Rate().update(torch.ones(2, dtype=torch.bool), torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="hits must lie in"):
        wilson_interval(3, 2)


def test_counts_add_up_like_their_elements():
    counted, rate = CountedRate(), Rate()
    for hits, total in [(3, 5), (0, 0), (2, 7)]:
        counted.update(hits, total)
        rate.update(torch.arange(total) < hits)
    assert counted.compute() == rate.compute()
