"""Data that breaks under a run costs no result: the error names it, and a rerun goes on."""

import io
import os
import signal
import zipfile
from pathlib import Path

import pytest
from torch.utils.data import get_worker_info

from project.attacks import Attack
from project.data import ImageListData
from project.data.decoding import SampleError
from project.data.files import ClassificationFiles
from tests.experiment.scene import (
    BATCH,
    BATCHES,
    IMAGES,
    attacks,
    photos,
    results,
    run,
    stored,
    victim,
    visible,
)

LAST = "photo_9"
pytestmark = pytest.mark.usefixtures("loaders_end_here")
EXPERIMENT = {"victims": {"a": victim()}, "attacks": attacks()}


class FragilePhotos(ClassificationFiles):
    """Photos that kill a worker who reads a certain one, while there is a file that says how."""

    def read(self, index):
        how = self.root / "deadly"
        if LAST in self.files[index].file and get_worker_info() and how.exists():
            if how.read_text() == "exit":
                os._exit(1)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(index)


class FragileData(ImageListData):
    """Fragile photos, read by two workers."""

    def build(self, split, frame, limit):
        samples = super().build(split, frame, limit)
        samples.__class__ = FragilePhotos
        return samples


@pytest.fixture
def folder(tmp_path) -> Path:
    photos(tmp_path / "photos")
    run(tmp_path / "unbroken", data=data(tmp_path), **EXPERIMENT)
    return tmp_path


def data(folder: Path, num_workers: int = 0) -> FragileData:
    return FragileData(str(folder / "photos"), batch_size=4, num_workers=num_workers)


def assert_a_rerun_goes_on(folder: Path, attacked: list, in_flight: int = 0) -> None:
    """Run again, which may repeat so many of the batches that had been begun."""
    unbroken = folder / "unbroken"
    kept = visible(folder / "store")
    assert kept.items() <= stored(unbroken / "store").items()
    missing = lacking(kept)
    assert 2 * BATCHES - len(missing) >= len(attacked) - in_flight
    attacked.clear()
    run(folder, data=data(folder), **EXPERIMENT)
    assert results(folder) == results(unbroken)
    assert visible(folder / "store") == stored(unbroken / "store")
    assert attacked == missing


def lacking(kept: dict[str, bytes]) -> list[tuple[str, list[int]]]:
    """Return attack and images of each batch of which a store does not hold all."""
    images = {
        (Path(path).parent.name.partition("-")[0], int(Path(name).stem))
        for path, content in kept.items()
        if path.endswith(".zip")
        for name in zipfile.ZipFile(io.BytesIO(content)).namelist()
    }
    batches = [list(range(IMAGES)[first : first + BATCH]) for first in range(0, IMAGES, BATCH)]
    return [
        (attack.upper(), batch)
        for attack in attacks()
        for batch in batches
        if not images.issuperset((attack.upper(), index) for index in batch)
    ]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("left", [None, 200])
def test_photo_that_breaks_after_it_was_verified(folder, attacked, monkeypatch, num_workers, left):
    (photo,) = (folder / "photos").rglob(f"{LAST}.png")
    whole = photo.read_bytes()
    attack = Attack.run

    def spoiling(self, *arguments, **more):
        photo.unlink(missing_ok=True)
        if left is not None:
            photo.write_bytes(whole[:left])
        return attack(self, *arguments, **more)

    attacked.clear()
    with monkeypatch.context() as spoiled:
        spoiled.setattr(Attack, "run", spoiling)
        with pytest.raises(SampleError, match=rf"(?s){LAST}\.png: .*run the same command"):
            run(folder, data=data(folder, num_workers), **EXPERIMENT)
    assert attacked
    assert not (folder / "run/rows.parquet").exists()
    photo.write_bytes(whole)
    assert_a_rerun_goes_on(folder, attacked)


# torch tells of the dead worker from a signal's handler, at times once more while it cleans up.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("how", ["exit", "kill"])
def test_worker_that_dies_ends_the_run(folder, attacked, monkeypatch, how):
    attack = Attack.run

    def poisoned(self, *arguments, **more):
        (folder / "photos/deadly").write_text(how)
        return attack(self, *arguments, **more)

    attacked.clear()
    with monkeypatch.context() as poison:
        poison.setattr(Attack, "run", poisoned)
        with pytest.raises(RuntimeError, match=r"DataLoader worker .*(exited|killed)"):
            run(folder, data=data(folder, num_workers=2), **EXPERIMENT)
    assert attacked
    (folder / "photos/deadly").unlink()
    assert_a_rerun_goes_on(folder, attacked, in_flight=1)
