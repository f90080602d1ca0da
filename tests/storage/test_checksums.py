"""The list of a run's files: those that the layout names, whatever they are called, and small."""

import os
import tracemalloc
from pathlib import Path

import pytest

from project.storage.checksums import damages, list_checksums, listing, read_checksums, unlisted

ODD = "gallery/a b/x\u2028y\x85z/00000001/adversarial.png"  # lines end at \n alone


def written(folder: Path, names: list[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_a_runs_files_are_listed_and_nobody_elses(tmp_path, monkeypatch):
    own = [ODD, "gallery/.hidden", "gallery/catalogue.js", "rows.parquet", "samples/0/1/clean.png"]
    written(
        tmp_path, [*own, "slices/0.npz", "slices/below/0.npz", "notes/rows.parquet", "mine.txt"]
    )
    (tmp_path / "gallery/linked.png").symlink_to(tmp_path / "mine.txt")
    (tmp_path / "gallery/broken.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "gallery/folder").symlink_to(tmp_path / "notes")
    os.mkfifo(tmp_path / "gallery/pipe")
    list_checksums(tmp_path)
    expected = {*own, "slices/0.npz", "gallery/linked.png"}
    assert set(read_checksums(tmp_path)) == expected
    assert unlisted(tmp_path) == damages(tmp_path) == []
    content = (tmp_path / "SHA256SUMS").read_bytes()
    assert content.decode().split("\n")[:-1] == sorted(
        content.decode().split("\n")[:-1], key=lambda line: line[66:]
    )
    monkeypatch.chdir(tmp_path)
    list_checksums(Path())
    assert (tmp_path / "SHA256SUMS").read_bytes() == content


@pytest.mark.parametrize("known", [False, True])
def test_a_further_file_takes_less_than_a_kilobyte(tmp_path, known):
    def peak(folder: Path, files: int) -> int:
        written(folder, [f"gallery/originals/{n:08d}/clean.png" for n in range(files)])
        if known:
            list_checksums(folder)
        tracemalloc.start()
        with listing(folder, ["report.html"]):
            pass
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = (peak(tmp_path / str(files), files) for files in (500, 2500))
    assert (many - few) / 2000 < 1000
