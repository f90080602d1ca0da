"""An experiment that was stopped at a bad moment goes on as if it had never been."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from project.store import StoreError
from tests.experiment.scene import BATCH, BATCHES, attacks, results, run, stored, victims

_HALF = BATCH + 2  # images in the store when the second batch is half written
_PATIENCE = 300


def experiment(folder: Path) -> None:
    run(folder, victims=victims(), attacks=attacks())


def stuck_experiment(folder: str) -> None:
    """Run the experiment in a process whose disk does not answer when an image is half written."""
    replace = os.replace

    def stuck(source, target):
        if Path(target).name == f"{_HALF:08d}.png":
            time.sleep(2 * _PATIENCE)
        replace(source, target)

    os.replace = stuck
    experiment(Path(folder))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    experiment(folder)
    return folder


def test_killed_run_loses_only_the_batch_in_flight(tmp_path, unbroken, attacked):
    code = f"from {__name__} import stuck_experiment; stuck_experiment({str(tmp_path)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    try:
        wait_for_half_a_batch(tmp_path / "store", process)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    left = visible(tmp_path / "store")
    assert sum(name.endswith(".png") for name in left) == _HALF
    # Of the image in flight there are the traces, which are written before it.
    assert sum(name.endswith(".npz") for name in left) == _HALF + 1
    assert not (tmp_path / "run/rows.parquet").exists()

    experiment(tmp_path)
    assert results(tmp_path) == results(unbroken)
    assert visible(tmp_path / "store") == stored(unbroken / "store")
    assert len(attacked) == 2 * 2 * BATCHES - 1
    assert attacked[:2] == [("PGD", [4, 5, 6, 7]), ("PGD", [8, 9, 10])]


def wait_for_half_a_batch(store: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not list(store.glob(f"*/.{_HALF:08d}.png.*")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, f"no half written image in {store}"
        time.sleep(0.05)


def visible(store: Path) -> dict[str, bytes]:
    """Leave out the temporary file that a kill may leave behind."""
    return {
        name: content
        for name, content in stored(store).items()
        if not Path(name).name.startswith(".")
    }


@pytest.mark.parametrize("full_at", ["00000000.png", "00000006.png", "manifest.json"])
def test_full_disk_keeps_what_is_stored_and_a_rerun_completes(
    tmp_path, unbroken, attacked, monkeypatch, full_at
):
    replace = os.replace

    def full(source, target):
        if Path(target).name == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as disk:
        disk.setattr(os, "replace", full)
        with pytest.raises(StoreError, match=r"No space left.*make room.*run the same command"):
            experiment(tmp_path)
    kept = stored(tmp_path / "store")
    assert kept.items() <= stored(unbroken / "store").items()
    assert not (tmp_path / "run/rows.parquet").exists()

    attacked.clear()
    experiment(tmp_path)
    assert results(tmp_path) == results(unbroken)
    assert stored(tmp_path / "store") == stored(unbroken / "store")
    saved = 1 if full_at == f"{_HALF:08d}.png" else 0
    assert len(attacked) == 2 * 2 * BATCHES - saved


def test_truncated_stored_image_is_made_again(tmp_path, unbroken, attacked):
    experiment(tmp_path)
    attacked.clear()
    (path,) = (tmp_path / "store").glob("fgsm-b-*/00000009.png")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="its batch is attacked again"):
        experiment(tmp_path)
    assert attacked == [("FGSM", [8, 9, 10])]
    assert results(tmp_path) == results(unbroken)
    assert stored(tmp_path / "store") == stored(unbroken / "store")


def test_store_of_another_experiment_is_refused(tmp_path, attacked):
    experiment(tmp_path)
    attacked.clear()
    (path,) = (tmp_path / "store").glob("pgd-b-*/manifest.json")
    path.write_text(path.read_text().replace("ClassificationVictim", "SomethingElse"))
    before = stored(tmp_path / "store"), results(tmp_path)
    with pytest.raises(StoreError, match=r"store of another experiment.*Move it away"):
        experiment(tmp_path)
    assert attacked == []
    assert (stored(tmp_path / "store"), results(tmp_path)) == before
