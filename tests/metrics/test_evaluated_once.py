import random

import pytest
import torch

from project.metrics import Ledger, LedgerError


def ledger_of(*batches):
    ledger = Ledger()
    for batch in batches:
        ledger.update(torch.tensor(batch))
    return ledger


def test_a_ledger_in_any_order_is_in_order():
    ledger = ledger_of([5, 2], [9])
    assert ledger.compute().tolist() == [2, 5, 9]
    ledger.check([2, 5, 9])


def test_missing_repeated_and_unknown_samples_are_named():
    with pytest.raises(
        LedgerError,
        match=r"the 3 samples .* got 4 evaluations: missing 1, 3; repeated 2; unknown 7",
    ):
        ledger_of([2, 7], [2, 2]).check([1, 2, 3])


def test_a_long_list_of_samples_is_counted():
    with pytest.raises(LedgerError, match=r"missing 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 90 more"):
        ledger_of([0]).check(range(101))


def test_ids_beyond_float32_are_exact():
    ledger_of([2**53 + 1]).check([2**53 + 1])


def test_a_ledger_starts_anew_after_reset():
    ledger = ledger_of([1])
    ledger.reset()
    ledger.update(torch.tensor([2]))
    ledger.check([2])


def test_rows_of_neighbours_come_back_as_the_ids_that_went_in():
    draw = random.Random(0)
    batches = [[draw.randint(0, 9) + k for k in range(draw.randint(0, 5))] for _ in range(200)]
    ledger = Ledger()
    for batch in batches:
        ledger.update(torch.tensor(batch, dtype=torch.int64))
    assert ledger.compute().tolist() == sorted(id for batch in batches for id in batch)


def test_a_ledger_holds_less_than_a_number_per_image():
    ledger = ledger_of(*(list(range(start, start + 4)) for start in range(0, 4000, 4)))
    assert sum(values.numel() for values in [*ledger.column, *ledger._recent]) < 50
    ledger.check(range(4000))
