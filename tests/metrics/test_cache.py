import torch

from project.metrics.cache import Cache


def made(values, log=None):
    def make():
        if log is not None:
            log.append(values)
        return torch.zeros(values, dtype=torch.int32)

    return make


def test_what_fits_is_made_once():
    log, cache = [], Cache(8)
    assert cache.get("a", made(2, log)) is cache.get("a", made(2, log))
    assert log == [2]


def test_first_comers_stay_and_the_others_are_made_again():
    log, cache = [], Cache(8)
    for _ in range(3):
        cache.get("first", made(2, log))
        cache.get("second", made(1, log))
    assert log == [2, 1, 1, 1]


def test_a_small_one_finds_the_room_that_a_large_one_does_not():
    log, cache = [], Cache(8)
    for _ in range(2):
        cache.get("large", made(3, log))
        cache.get("small", made(2, log))
    assert log == [3, 2, 3]


def test_room_is_counted_in_bytes_over_nested_tensors():
    cache = Cache(100)
    cache.get("a", lambda: [(torch.zeros(3, dtype=torch.float64), torch.zeros(2, 2)), []])
    assert cache.room == 100 - 24 - 16


def test_memory_that_tensors_share_counts_once_and_in_full():
    cache, whole = Cache(100), torch.zeros(10, dtype=torch.float64)
    cache.get("a", lambda: [whole, whole[:1], whole.view(2, 5)])
    assert cache.room == 20


def test_without_room_nothing_is_kept():
    log, cache = [], Cache(0)
    for _ in range(2):
        cache.get("a", made(1, log))
    assert log == [1, 1]
