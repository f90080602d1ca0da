import pytest

from project.data.samplers import DealtBatchSampler, EpochSampler, fitting_batch_size

SIZES = [(samples, batch) for samples in (1, 2, 7, 8, 9, 23, 64) for batch in (1, 3, 8)]


def enough(samples, batch, ranks):
    return -(-samples // batch) >= ranks


DEALS = [(*size, ranks) for size in SIZES for ranks in (1, 2, 3, 5) if enough(*size, ranks)]
TOO_FEW = [(*size, ranks) for size in SIZES for ranks in (2, 3, 5) if not enough(*size, ranks)]


@pytest.mark.parametrize(("samples", "batch", "ranks"), DEALS)
def test_every_sample_is_dealt_exactly_once(samples, batch, ranks):
    dealt = [list(DealtBatchSampler(samples, batch, rank, ranks)) for rank in range(ranks)]
    flat = sorted(position for share in dealt for piece in share for position in piece)
    assert flat == list(range(samples))


@pytest.mark.parametrize(("samples", "batch", "ranks"), DEALS)
def test_batch_k_is_the_same_at_any_number_of_ranks_and_goes_to_rank_k_mod_w(samples, batch, ranks):
    alone = list(DealtBatchSampler(samples, batch))
    for rank in range(ranks):
        assert list(DealtBatchSampler(samples, batch, rank, ranks)) == alone[rank::ranks]


@pytest.mark.parametrize(("samples", "batch", "ranks"), DEALS)
def test_the_length_is_the_number_of_batches(samples, batch, ranks):
    for rank in range(ranks):
        sampler = DealtBatchSampler(samples, batch, rank, ranks)
        assert len(sampler) == len(list(sampler)) > 0


@pytest.mark.parametrize(("samples", "batch", "ranks"), TOO_FEW)
def test_every_rank_refuses_fewer_batches_than_ranks(samples, batch, ranks):
    for rank in range(ranks):
        with pytest.raises(ValueError, match="every rank needs at least one batch"):
            DealtBatchSampler(samples, batch, rank, ranks)


def test_fewer_batches_than_ranks_names_both_and_the_remedy():
    with pytest.raises(ValueError, match=r"got 2 batches \(10 samples, batch size 8\) for 4 ranks"):
        DealtBatchSampler(10, 8, 3, 4)


@pytest.mark.parametrize(("samples", "batch", "ranks"), DEALS + TOO_FEW)
def test_batches_are_made_smaller_only_where_ranks_would_be_idle(samples, batch, ranks):
    fitting = fitting_batch_size(samples, batch, ranks)
    assert enough(samples, fitting, ranks) == (samples >= ranks)
    if enough(samples, batch, ranks):
        assert fitting == batch


def test_fewer_training_samples_than_ranks_is_refused():
    with pytest.raises(ValueError, match="got 2 samples for 3 ranks"):
        EpochSampler(2, world_size=3)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_training_shares_are_equal_and_disjoint(ranks):
    shares = [list(EpochSampler(23, 0, rank, ranks)) for rank in range(ranks)]
    flat = [pair for share in shares for pair in share]
    assert {len(share) for share in shares} == {23 // ranks}
    assert len(set(flat)) == len(flat)
    assert {position for _, position in flat} <= set(range(23))


def test_the_training_order_changes_with_epoch_and_seed_and_repeats_otherwise():
    def order(seed, epoch):
        sampler = EpochSampler(50, seed)
        sampler.set_epoch(epoch)
        return [position for _, position in sampler]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    assert sorted(order(0, 1)) == list(range(50))
