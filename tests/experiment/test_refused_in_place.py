"""A run that is refused leaves the finished run in its folder as it was."""

import pytest
import yaml

from project.check import check_run
from project.cli import attack_main
from project.victims import VictimCheckError
from tests.experiment.test_processes import config


@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_a_refused_run_leaves_the_run_before_it_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = config("classification")
    wanted["trainer"]["logger"] = False
    wanted["model"] |= {"features": {}, "metrics": ["mse"]}
    text = yaml.safe_dump(wanted).replace("'4/255'", "4/255")
    (tmp_path / "good.yaml").write_text(text)
    arguments = ["--config=good.yaml", "--run.folder=run", "--attack.store=store"]
    attack_main(arguments)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    five = '{"class_path": "TimmVictim", "init_args": {"architecture": "test_resnet", '
    five += '"num_classes": 5, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}'
    with pytest.raises(VictimCheckError, match="must have the data's 6 classes, but has 5"):
        attack_main([*arguments, f"--model.victims.five={five}"])
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert after == before
    assert check_run(tmp_path / "run")[1] == []
    assert "config.yaml" in {path.name for path in before}
