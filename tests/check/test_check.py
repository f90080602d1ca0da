"""A run's files and images: damage of any kind is noticed by their readers and by the check."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from project.check import check_images, check_run
from project.check.__main__ import main
from project.core.errors import InputError
from project.explain import FinishedRun
from project.report.__main__ import main as report_main
from project.report.gallery import samples
from project.report.reading import read_facts
from project.storage.checksums import damages, list_checksums, listing, read_checked, read_json
from project.storage.files import replace_file
from project.storage.history import History
from project.storage.rows import read_measures, read_rows
from project.storage.store import Store, StoreError
from project.storage.traces import read_traces
from tests.experiment.scene import IMAGES, attacks, pass_folder, run, stored_batch, victim
from tests.storage.damage import change, flipped

FLIPS = 500
CONFIG = "trainer: {devices: 1}\nattack: {attacks: {pgd: PGD}}\nmodel: {victims: {a: Own}}\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(folder, victims={"a": victim()}, attacks=attacks())
    (folder / "run/config.yaml").write_text(CONFIG)
    list_checksums(folder / "run")
    return folder


@pytest.fixture
def own(finished, tmp_path) -> Path:
    shutil.copytree(finished, tmp_path / "own")
    path = tmp_path / "own/run/adversarial.json"
    told = json.loads(path.read_text())
    for one in told["passes"]:
        one["folder"] = str(tmp_path / "own/store" / Path(one["folder"]).name)
    with listing(tmp_path / "own/run", ["adversarial.json"]):
        replace_file(path, json.dumps(told).encode())
    return tmp_path / "own"


READERS = {
    "rows.parquet": lambda path: read_rows(path).to_pylist(),
    "metrics.csv": lambda path: repr(read_measures(path)),
    "traces.parquet": lambda path: repr(read_traces(path)),
    "run.json": read_json,
    "config.yaml": lambda path: FinishedRun.read(path.parent).config,
    "adversarial.json": read_json,
}


@pytest.mark.parametrize("name", READERS)
def test_every_flipped_bit_in_a_runs_file_is_noticed(own, name):
    path = own / "run" / name
    whole = path.read_bytes()
    READERS[name](path)
    _every_flip_is_noticed(path, lambda: READERS[name](path), seed=0)
    for end in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=rf"{name} is damaged"):
            READERS[name](path)
    assert damages(own / "run") == [f"{path} is damaged: it is not what was written"]


@pytest.mark.parametrize("name", ["rows.parquet", "metrics.csv"])
def test_every_flipped_bit_in_the_list_itself_is_noticed_or_harmless(own, name):
    path, reader = own / "run/SHA256SUMS", READERS[name]
    whole, value = path.read_bytes(), reader(own / "run" / name)
    for bit in np.random.default_rng(1).integers(0, 8 * len(whole), FLIPS):
        path.write_bytes(flipped(whole, int(bit)))
        try:
            assert reader(own / "run" / name) == value
        except InputError:
            continue
        _, faults = check_run(own / "run")
        assert faults, f"bit {bit}"


def test_rows_taken_out_of_their_folder_have_checksums_of_their_pages(own, tmp_path):
    path = tmp_path / "rows.parquet"
    whole = (own / "run/rows.parquet").read_bytes()
    start = whole.index(b"\x28\xb5\x2f\xfd")  # the first page, as zstd begins
    path.write_bytes(whole)
    value = read_rows(path).to_pylist()
    for bit in range(8 * (start + 4), 8 * (start + 24)):
        path.write_bytes(flipped(whole, bit))
        with pytest.raises(InputError, match="is damaged"):
            read_rows(path)
    path.write_bytes(whole)
    assert read_rows(path).to_pylist() == value


def test_every_flipped_bit_in_a_history_is_noticed(tmp_path):
    path, history = tmp_path / "history.csv", History()
    for epoch in range(5):
        history.add(epoch, 10 * epoch, {"train/loss": 1.5 / (1 + epoch), "val/accuracy": 0.1})
    with listing(tmp_path, [path.name]):
        history.write(path)
    History.read(path)
    _every_flip_is_noticed(path, lambda: History.read(path), seed=2)


def test_every_flipped_bit_in_a_picture_of_the_gallery_is_noticed(own):
    (sample, *_) = samples(own / "run")
    sample.read("adversarial")
    _every_flip_is_noticed(sample.path("adversarial"), lambda: sample.read("adversarial"), seed=3)


def _every_flip_is_noticed(path: Path, read, seed: int) -> None:
    whole = path.read_bytes()
    for bit in np.random.default_rng(seed).integers(0, 8 * len(whole), FLIPS):
        path.write_bytes(flipped(whole, int(bit)))
        with pytest.raises(InputError, match=rf"{path.name} is damaged"):
            read()


def test_a_report_made_anew_calls_nothing_whole_that_was_damaged(own, monkeypatch):
    damaged = own / "run/adversarial.json"
    damaged.write_bytes(flipped(damaged.read_bytes(), 99))
    monkeypatch.setattr(sys, "argv", ["report", str(own / "run")])
    report_main()
    assert damages(own / "run") == [f"{damaged} is damaged: it is not what was written"]
    damaged = own / "run/rows.parquet"
    damaged.write_bytes(flipped(damaged.read_bytes(), 999))
    with pytest.raises(SystemExit):
        report_main()
    assert len(damages(own / "run")) == 2


def test_a_crash_while_files_are_written_calls_none_damaged(own):
    path = own / "run/metrics.csv"
    before = (own / "run/SHA256SUMS").read_text()
    with listing(own / "run", ["metrics.csv"]):
        path.write_bytes(path.read_bytes() + b"")
        now = (own / "run/SHA256SUMS").read_text()  # what a kill would leave
        assert now.count("\n") == before.count("\n") - 1
        assert read_measures(path)
    assert (own / "run/SHA256SUMS").read_text() == before


def test_files_of_ones_own_are_no_part_of_it(own):
    (own / "run/notes.txt").write_text("mine")
    (own / "run/study.sqlite").write_bytes(b"answers")
    assert check_run(own / "run")[1] == []
    assert read_checked(own / "run/notes.txt") == b"mine"


def test_the_check_counts_and_names_each_damage(own, capsys):
    assert main([str(own / "run")]) == 0
    told = capsys.readouterr().out
    assert f"{2 * IMAGES} of {2 * IMAGES} images in the store" in told
    assert told.endswith("all is as it was written\n")
    store = own / "store" / pass_folder(own / "run", "pgd", "a")
    paths = [store / "00000003.png", store / "00000004.png", own / "run/metrics.csv"]
    for path in paths[:2]:
        change(store, path.name, lambda content: flipped(content, 800))
    paths[2].write_bytes(flipped(paths[2].read_bytes(), 800))
    (own / "run/report.html").unlink()
    assert main([str(own / "run")]) == 1
    *lines, count, verdict = capsys.readouterr().out.splitlines()
    assert verdict == "faults: 4"
    assert len(lines) == 4
    for path in (*paths, own / "run/report.html"):
        assert sum(str(path) in line for line in lines) == 1, path
    assert f"{2 * IMAGES - 2} of {2 * IMAGES} images" in count


def test_a_pipe_for_a_file_is_damage_and_nobody_waits_for_it(own, capsys):
    folder = own / "store" / pass_folder(own / "run", "pgd", "a")
    batch = stored_batch(own, "pgd", "a", 3).name
    for name in ("run.json", "adversarial.json", "rows.parquet"):
        (own / "run" / name).unlink()
        os.mkfifo(own / "run" / name)
        with pytest.raises(InputError, match=rf"{name} is damaged: it must be a regular file"):
            READERS[name](own / "run" / name)
    for name in ("manifest.json", batch):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    assert main([str(own / "run")]) == 1
    told = capsys.readouterr().out
    assert all(told.count(f"{name} is damaged") for name in ("run.json", "adversarial.json"))
    with pytest.raises(StoreError, match=r"manifest\.json cannot be read .*regular file"):
        Store.reopened(folder)
    (own / "run/SHA256SUMS").unlink()
    os.mkfifo(own / "run/SHA256SUMS")
    assert main([str(own / "run")]) == 1
    assert "SHA256SUMS is damaged: it must be a regular file" in capsys.readouterr().out
    with pytest.raises(InputError, match="SHA256SUMS is damaged"):
        read_checked(own / "run/metrics.csv")


@pytest.mark.parametrize(
    "content",
    [
        "[" * 200_000,
        "{}",
        "[]",
        "7",
        '{"passes": 3}',
        '{"passes": [3]}',
        '{"passes": [{"folder": "x"}]}',
        '{"passes": [{"attack": "a", "source": "b", "folder": 1, "sha256": "c"}]}',
    ],
)
def test_json_of_another_shape_is_damage(own, capsys, content):
    for name in ("run.json", "adversarial.json"):
        with listing(own / "run", [name]):  # whoever made the folder listed it too
            replace_file(own / "run" / name, content.encode())
    assert main([str(own / "run")]) == 1
    told = capsys.readouterr().out
    assert "adversarial.json is damaged" in told
    if content.startswith("[["):
        assert f"{own / 'run/run.json'} is damaged" in told
        with pytest.raises(InputError, match=r"run\.json must be as Mirage wrote it.*too deeply"):
            read_facts(own / "run/run.json")


def test_a_manifest_that_is_nested_too_deeply_is_damage(own):
    folder = own / "store" / pass_folder(own / "run", "pgd", "a")
    store = Store.reopened(folder)
    (folder / "manifest.json").write_text("[" * 200_000)
    with pytest.raises(StoreError, match="nested too deeply"):
        Store.reopened(folder)
    with pytest.warns(UserWarning, match="was damaged, and is written anew"):
        Store(folder.parent, store.label, store.description)
    assert Store.reopened(folder).description == store.description


def test_a_store_that_was_moved_or_is_damaged_is_told(own, tmp_path):
    (own / "store").rename(tmp_path / "moved")
    count, faults = check_images(own / "run")
    assert count.checked == 0
    assert len(faults) == 2
    assert check_images(own / "run", tmp_path / "moved") == ((2 * IMAGES, 2 * IMAGES), [])
    folder = tmp_path / "moved" / pass_folder(own / "run", "pgd", "a")
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("PGD", "PGE"))
    count, (fault,) = check_images(own / "run", tmp_path / "moved")
    assert count == (IMAGES, 2 * IMAGES)
    assert "manifest.json is damaged" in fault


def test_images_that_are_others_than_the_run_judged_are_told(own):
    store = Store.reopened(own / "store" / pass_folder(own / "run", "pgd", "a"))
    (sample,) = store.load([3])
    store.save([3], [replace(sample, image=sample.image ^ 1)])
    count, (fault,) = check_images(own / "run")
    assert count == (2 * IMAGES, 2 * IMAGES)
    assert "the images of pgd on a are others than those that the run judged" in fault


def test_a_damaged_image_is_made_again_by_the_same_command(own, attacked):
    folder = own / "store" / pass_folder(own / "run", "pgd", "a")
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    change(folder, "00000005.png", lambda content: flipped(content, 500))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(own, victims={"a": victim()}, attacks=attacks())
    assert [batch for _, batch in attacked] == [[4, 5, 6, 7]]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert Store.reopened(folder).damages([5]) == {}
    assert check_run(own / "run")[1] == []


def test_what_is_no_run_is_said_in_a_line(tmp_path):
    with pytest.raises(InputError, match="must be the folder of a run"):
        check_run(tmp_path / "nothing")
    assert "has no SHA256SUMS" in check_run(tmp_path)[1][0]
    command = [sys.executable, "-m", "project.check", str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_a_second_run_in_one_folder_is_refused_and_changes_nothing(own):
    """Row 20: the rows of one stood beside the config of the other."""
    before = {path: path.read_bytes() for path in (own / "run").rglob("*") if path.is_file()}
    holder = "import sys; from pathlib import Path; from project.storage.lock import lock;"
    holder += "lock(Path(sys.argv[1])); print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holder, str(own / "run")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == "1\n"
        with pytest.raises(InputError, match=f"only one run may write .* process {process.pid}"):
            run(own, victims={"a": victim()}, attacks=attacks())
        process.kill()
    for path, content in before.items():
        assert path.read_bytes() == content
    run(own, victims={"a": victim()}, attacks=attacks())
    assert not (own / "run/.run.lock").exists()
