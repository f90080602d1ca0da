"""Errors that say what they are."""

import pytest
import torch

from project.core.errors import InputError, let_memory_errors_pass, out_of_memory, plain_errors
from project.core.logits import logits_of

HUGE = 2**46  # bytes; no machine has them


def python():
    return bytearray(HUGE)


def tensors():
    return torch.empty(HUGE, dtype=torch.uint8)


@pytest.mark.parametrize("work", [python, tensors])
def test_what_really_runs_out_of_memory_is_told_as_that(work):
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        work()
    assert out_of_memory(caught.value)
    with pytest.raises(type(caught.value)):
        let_memory_errors_pass(caught.value)
    told = r"^error: memory ran out .*--attack\.max_batch"
    with pytest.raises(SystemExit, match=told), plain_errors():
        raise caught.value


def test_a_gpu_s_error_is_known_and_another_error_is_not_taken_for_one():
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    let_memory_errors_pass(RuntimeError("size mismatch"))
    let_memory_errors_pass(InputError("images must lie in [0, 1]"))


def test_a_cause_counts_too():
    error = ValueError("cannot be decoded")
    error.__cause__ = MemoryError()
    assert out_of_memory(error)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ((torch.zeros(1),), "a tuple of 1"),
        ([torch.zeros(1)] * 2, "a list of 2"),
        ({"logits": torch.zeros(1), "loss": 0}, "a dictionary with logits, loss"),
        (None, "NoneType"),
    ],
)
def test_a_network_that_returns_more_than_logits_is_refused_in_one_line(output, told):
    with pytest.raises(InputError, match=f"one tensor of logits, got {told}. Wrap the network"):
        logits_of(output)
