"""The files of a run, which people share, name no folder of the machine that made them."""

import json
import re
import sys
from pathlib import Path

from tests.experiment.scene import attacks, run, shapes, victims


def test_no_file_of_a_run_names_a_folder_of_the_machine(tmp_path, monkeypatch):
    home = tmp_path / "home of alice"
    (home / "mirage").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    monkeypatch.chdir(home / "mirage")
    script = str(home / "mirage" / "attack.py")
    monkeypatch.setattr(
        sys, "argv", [script, f"--data.root={home}/imagenet", "--k=0123456789abcdef"]
    )
    folder = home / "mirage" / "runs"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "config.yaml").write_text(f"data: {home}/imagenet\n")
    run(folder, data=shapes(), victims=victims(), attacks=attacks())
    written = [path for path in (folder / "run").rglob("*") if path.is_file()]
    told = {path.name: path.read_bytes().decode("latin-1") for path in written}
    assert told.pop("config.yaml") == f"data: {home}/imagenet\n"  # what it is made again from
    assert json.loads(told["run.json"])["config"] == "data: ../imagenet\n"
    assert {"run.json", "report.html", "comparison.md", "adversarial.json"} <= told.keys()
    here = re.compile("|".join(map(re.escape, (str(tmp_path), "alice", "0123456789abcdef"))))
    assert [name for name, text in told.items() if here.search(text)] == []
    assert "--data.root=../imagenet" in told["run.json"]
    assert not Path(told["adversarial.json"].split('"folder": "')[1].split('"')[0]).is_absolute()
