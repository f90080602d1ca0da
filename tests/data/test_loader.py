"""A worker process that is lost gives one error, whatever it was doing."""

from multiprocessing.resource_sharer import DupFd

import pytest
from torch.utils.data import Dataset

from project.core.errors import InputError, plain_errors
from project.data import ShapesData
from project.data.decoding import SampleError

pytestmark = pytest.mark.usefixtures("loaders_end_here")
LOST = [
    ConnectionResetError(104, "Connection reset by peer"),
    ConnectionRefusedError(111, "Connection refused"),
    FileNotFoundError(2, "No such file or directory"),
    EOFError(),
]


class Unreadable(Dataset):
    """Samples on a disk that has gone."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        raise ConnectionResetError("the disk has gone")


@pytest.fixture(params=["train", "test"])
def loader(request):
    """Loaders by their number of workers."""

    def make(num_workers):
        data = ShapesData(num_train=8, num_test=8, batch_size=4, num_workers=num_workers)
        return data.train_dataloader() if request.param == "train" else data.test_dataloader()[0]

    return make


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_a_connection_that_breaks_in_mid_batch_is_told_as_a_lost_worker(loader, monkeypatch, error):
    def broken(handed_over):
        raise error

    monkeypatch.setattr(DupFd, "detach", broken)
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid") as told:
        list(loader(num_workers=1))
    assert type(error).__name__ in str(told.value)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_what_reading_a_sample_raises_stays_what_it_is(loader, num_workers):
    broken = loader(num_workers)
    object.__setattr__(broken, "dataset", Unreadable())  # torch forbids it on a loader that is made
    with pytest.raises(ConnectionResetError, match="the disk has gone"):
        list(broken)


def test_bad_input_is_told_in_one_line_whoever_read_it(loader, monkeypatch):
    def spoilt(self, index):
        raise SampleError("a.png: cannot be decoded: truncated") from KeyError("cause")

    monkeypatch.setattr(Unreadable, "__getitem__", spoilt)
    broken = loader(num_workers=1)
    object.__setattr__(broken, "dataset", Unreadable())
    with pytest.raises(SampleError, match=r"^a\.png: cannot be decoded: truncated$"):
        list(broken)


@pytest.mark.parametrize(
    "told",
    [
        "DataLoader worker (pid 7) is killed by signal: Killed. ",
        "DataLoader worker (pid(s) 7) exited unexpectedly",
        "DataLoader worker (pid unknown) exited in mid-batch, EOFError: ",
    ],
)
def test_scripts_say_what_to_do_about_a_lost_worker(told):
    advice = r"(?s)worker \(pid.*num_workers lower.*same command"
    with pytest.raises(SystemExit, match=advice), plain_errors():
        raise RuntimeError(told)


def test_scripts_show_where_any_other_runtime_error_comes_from():
    told = "Caught RuntimeError in DataLoader worker process 0."
    with pytest.raises(RuntimeError, match=told), plain_errors():
        raise RuntimeError(told)


def test_scripts_find_the_input_at_fault_behind_an_error_made_from_it():
    with pytest.raises(SystemExit, match=r"^error: crop must fit$"), plain_errors():
        raise ValueError("none of the kinds fits") from InputError("crop must fit")
