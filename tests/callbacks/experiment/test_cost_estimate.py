"""The cost of an experiment is told before its passes begin, and nothing is lost by it."""

import pytest
import yaml

from project.callbacks import CostEstimate
from project.callbacks.experiment.cost_estimate import Cost, estimate_table
from project.cli.attack import attack_main
from project.evaluation import Pass
from tests.experiment.scene import (
    BATCH,
    BATCHES,
    IMAGES,
    attacks,
    results,
    run,
    stored,
    stored_batch,
    victims,
)
from tests.experiment.test_processes import config
from tests.processes import together
from tests.storage.damage import images

FIRST = [0, 1, 2, 3]
PASSES = [("PGD", FIRST)] * 2 + [("FGSM", FIRST)] * 2


def estimated(folder, only: bool = False) -> None:
    run(folder, victims=victims(), attacks=attacks(), more=[CostEstimate(only)])


def test_estimate_changes_no_result_and_attacks_no_image_twice(tmp_path, attacked):
    run(tmp_path / "plain", victims=victims(), attacks=attacks())
    plain = sorted(attacked)
    attacked.clear()
    estimated(tmp_path / "estimated")
    assert attacked[:4] == PASSES
    assert sorted(attacked) == plain
    assert results(tmp_path / "estimated") == results(tmp_path / "plain")
    assert stored(tmp_path / "estimated/store") == stored(tmp_path / "plain/store")


def test_mere_estimate_attacks_one_batch_of_each_pass_and_leaves_results(tmp_path, attacked):
    estimated(tmp_path)
    before = results(tmp_path)
    attacked.clear()
    run(
        tmp_path,
        victims=victims(),
        attacks=attacks(),
        store=tmp_path / "other",
        more=[CostEstimate(only=True)],
    )
    assert attacked == PASSES
    assert len(images(tmp_path / "other")) == 4 * BATCH
    assert len(before) == 3
    assert results(tmp_path) == before


def test_estimate_attacks_the_first_batch_that_the_store_lacks(tmp_path, attacked, capsys):
    estimated(tmp_path)
    for attack, source in (("pgd", "b"), ("fgsm", "a")):
        stored_batch(tmp_path, attack, source, 9).unlink()
    attacked.clear()
    capsys.readouterr()
    estimated(tmp_path, only=True)
    assert attacked == [("PGD", [8, 9, 10]), ("FGSM", [8, 9, 10])]
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("pgd     b")]
    assert line.split()[2:4] == [str(IMAGES), "0"]
    (line,) = [line for line in lines if line.startswith("pgd     a")]
    assert line.split()[2:] == [str(IMAGES), "0", "–", "0:00"]


def test_full_store_costs_nothing(tmp_path, attacked, capsys):
    estimated(tmp_path)
    attacked.clear()
    capsys.readouterr()
    estimated(tmp_path)
    assert attacked == []
    assert f"all {4 * IMAGES} adversarial images are in the store" in capsys.readouterr().out


def test_slowest_process_decides_how_long_an_attack_takes():
    pgd, fgsm = Pass("pgd", "a"), Pass("fgsm", "a")
    first = {pgd: Cost(4, 60, 1.0), fgsm: Cost(64, 0, None)}
    second = {pgd: Cost(8, 20, 2.0), fgsm: Cost(4, 20, 3.0)}
    lines = estimate_table([first, second]).splitlines()
    assert lines[1].split() == ["pgd", "a", "12", "80", "1.5", "1:00"]
    assert lines[2].split() == ["fgsm", "a", "68", "20", "3", "1:00"]
    assert lines[3].startswith("attacking will take about 1:40 on 2 processes")


@pytest.fixture
def experiment(tmp_path, monkeypatch) -> list[str]:
    """Return the arguments of an experiment in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(config("segmentation")))
    arguments = ["--data.batch_size=4", "--attack.store=store", "--estimate.only=true"]
    return ["--config=experiment.yaml", *arguments]


@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_mere_estimate_of_the_command_line_leaves_only_images(tmp_path, experiment, capsys):
    earlier = [tmp_path / "run" / name for name in ("config.yaml", "rows.parquet")]
    earlier[0].parent.mkdir()
    for path in earlier:
        path.write_text("of an earlier run")
    attack_main([*experiment, "--run.folder=run"])
    assert "transegpgd  a       4       7" in capsys.readouterr().out
    left = {path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".yaml"}
    left -= set((tmp_path / "store").rglob("*"))
    assert left == {earlier[1]}
    assert all(path.read_text() == "of an earlier run" for path in earlier)
    assert len(images(tmp_path / "store")) == 2 * BATCH < 2 * BATCH * BATCHES


@pytest.mark.slow
def test_each_process_estimates_its_own_share(tmp_path, experiment):
    told = together(attack_main, [*experiment, "--trainer.devices=2", "--trainer.strategy=ddp"])
    assert told.count("transegpgd  a       8       3") == 1
    assert "on 2 processes" in told
    assert len(images(tmp_path / "store")) == 2 * 2 * BATCH
