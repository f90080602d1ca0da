"""Settings of all tests."""

import gc
import os
import signal
from collections.abc import Iterator
from unittest import mock

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import pytest
import torch

torch.set_num_threads(1)
# Commands that the tests interrupt inherit it from here, and a job in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests, lest one process end long after the others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True, scope="module")
def environment_ends_with_the_file() -> Iterator[None]:
    """Take back what a command sets for its process, such as torch's refusal of all pickles."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(autouse=True)
def environment_ends_here() -> Iterator[None]:
    """Take the same back test by test, but for what a fixture of the file has set for all."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def loaders_end_here() -> Iterator[None]:
    """Stop the workers of a loader that was broken off, which its traceback keeps alive."""
    yield
    gc.collect()
