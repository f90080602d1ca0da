"""An experiment that was stopped at a bad moment goes on as if it had never been."""

import errno
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from project.core.errors import InputError
from project.data import ShapesData
from project.storage.files import WriteError
from tests.experiment.doomed import experiment, stuck_at
from tests.experiment.scene import (
    BATCH,
    BATCHES,
    attacks,
    results,
    run,
    stored,
    stored_batch,
    victims,
    visible,
)
from tests.processes import PATIENCE, start, status
from tests.storage.damage import images
from tests.storage.locks import held_by_another

_STUCK = f"{BATCH:08d}."  # how the name of the second batch begins


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    experiment(folder)
    return folder


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_stopped_run_ends_at_once_and_loses_only_the_batch_in_flight(
    tmp_path, unbroken, attacked, number
):
    process = start(stuck_at, tmp_path, _STUCK)
    try:
        wait_for_half_a_batch(tmp_path / "store", process)
    finally:
        os.kill(process.pid, number)
    assert status(process) == -number
    left = visible(tmp_path / "store")
    assert left.items() <= stored(unbroken / "store").items()
    assert set(images(tmp_path / "store")) == {f"{index:08d}.png" for index in range(BATCH)}
    assert not (tmp_path / "run/rows.parquet").exists()

    experiment(tmp_path)
    assert results(tmp_path) == results(unbroken)
    assert visible(tmp_path / "store") == stored(unbroken / "store")
    assert len(attacked) == 2 * 2 * BATCHES - 1
    assert attacked[:2] == [("PGD", [4, 5, 6, 7]), ("PGD", [8, 9, 10])]


def wait_for_half_a_batch(store: Path, process: BaseProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while not list(store.glob(f"*/.{_STUCK}*")):
        assert process.is_alive(), "the run ended before it could be stopped"
        assert time.monotonic() < deadline, f"no half written batch in {store}"
        time.sleep(0.05)


def full_at(monkeypatch, name: str) -> None:
    """Have the disk be full when a file is to be named so."""
    replace = os.replace

    def full(source, target):
        if Path(target).name.startswith(name):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)


@pytest.mark.parametrize("name", ["00000000.", _STUCK, "manifest.json"])
def test_full_disk_keeps_what_is_stored_and_a_rerun_completes(
    tmp_path, unbroken, attacked, monkeypatch, name
):
    with monkeypatch.context() as disk:
        full_at(disk, name)
        with pytest.raises(WriteError, match=rf"{name}.*: No space left.*run the same command"):
            experiment(tmp_path)
    kept = stored(tmp_path / "store")
    assert kept.items() <= stored(unbroken / "store").items()
    assert not (tmp_path / "run/rows.parquet").exists()

    attacked.clear()
    experiment(tmp_path)
    assert results(tmp_path) == results(unbroken)
    assert stored(tmp_path / "store") == stored(unbroken / "store")
    saved = 1 if name == _STUCK else 0
    assert len(attacked) == 2 * 2 * BATCHES - saved


@pytest.mark.parametrize("name", ["clean.png", "rows.parquet", "metrics.csv", "report.html"])
def test_full_disk_at_the_results_keeps_all_images(tmp_path, unbroken, attacked, monkeypatch, name):
    experiment(tmp_path)
    with monkeypatch.context() as disk:
        full_at(disk, name)
        with pytest.raises(WriteError, match=rf"{name}: No space left.*run the same command"):
            experiment(tmp_path)
    assert not (tmp_path / "run/.unfinished").exists()
    assert stored(tmp_path / "store") == stored(unbroken / "store")
    attacked.clear()
    experiment(tmp_path)
    assert attacked == []
    assert results(tmp_path) == results(unbroken)


def test_a_killed_runs_parts_of_tables_are_no_part_of_the_next(tmp_path, unbroken):
    scratch = tmp_path / "run/.unfinished"
    scratch.mkdir(parents=True)
    for name in ("rows-00000-00000", "rows-00001-00007", "traces-00000-00000"):
        (scratch / f"{name}.parquet").write_bytes(b"PAR1 and no more")
    experiment(tmp_path)
    assert results(tmp_path) == results(unbroken)
    assert not scratch.exists()


def test_a_run_that_is_refused_leaves_the_others_parts_alone(tmp_path):
    part = tmp_path / "run/.unfinished/rows-00000-00000.parquet"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of another")
    with (
        held_by_another(tmp_path / "run/.run.lock"),
        pytest.raises(InputError, match="only one run may write"),
    ):
        experiment(tmp_path)
    assert part.read_bytes() == b"of another"


def test_truncated_stored_image_is_made_again(tmp_path, unbroken, attacked):
    experiment(tmp_path)
    attacked.clear()
    path = stored_batch(tmp_path, "fgsm", "b", 9)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="its batch is attacked again"):
        experiment(tmp_path)
    assert attacked == [("FGSM", [8, 9, 10])]
    assert results(tmp_path) == results(unbroken)
    assert stored(tmp_path / "store") == stored(unbroken / "store")


@pytest.mark.parametrize("changed", ["image", "label"])
def test_data_that_has_changed_under_the_same_names_is_attacked_anew(
    tmp_path, attacked, monkeypatch, changed
):
    experiment(tmp_path)
    attacked.clear()
    fitted, read = victims(), ShapesData.build  # to the data as it was

    def other(self, *arguments):
        samples = read(self, *arguments)
        whole = samples.read

        def changed_read(index):
            pixels, label = whole(index)
            if index != 9:
                return pixels, label
            return (pixels ^ 1, label) if changed == "image" else (pixels, (label + 1) % 6)

        samples.read = changed_read
        return samples

    monkeypatch.setattr(ShapesData, "build", other)
    with pytest.warns(UserWarning, match=r"00000009\.png was made from another image or label"):
        run(tmp_path, victims=fitted, attacks=attacks())
    assert sorted(attacked) == [("FGSM", [8, 9, 10])] * 2 + [("PGD", [8, 9, 10])] * 2


def test_a_damaged_manifest_is_written_anew_and_nothing_is_attacked_again(tmp_path, attacked):
    experiment(tmp_path)
    attacked.clear()
    before = stored(tmp_path / "store"), results(tmp_path)
    path = stored_batch(tmp_path, "pgd", "b", 0).with_name("manifest.json")
    path.write_text(path.read_text().replace("FittedClassifier", "SomethingElse"))
    with pytest.warns(UserWarning, match=r"manifest\.json was damaged, and is written anew"):
        experiment(tmp_path)
    assert attacked == []
    assert (stored(tmp_path / "store"), results(tmp_path)) == before
