"""What a training's recipe is: all that its configs lead to."""

import sys
from pathlib import Path

import pytest

from project.training.finished import recipe_of

CONFIG = """
model: {class_path: their_net.Net, init_args: {table: table.csv}}
data: sub.yaml
trainer: {callbacks: [{class_path: project.callbacks.Tables}], default_root_dir: root}
"""
FILES = {
    "configs/main.yaml": CONFIG,
    "configs/sub.yaml": "class_path: their_data.Data\ninit_args: {words: words}\n",
    "their_net.py": "from their_layers import x\nraise SystemExit('never run')\n",
    "their_layers.py": "x = 1\n",
    "their_data.py": "y = 1\n",
    "table.csv": "1",
    "configs/words": "1",
    "more.yaml": "z: 1\n",
    "root": "1",
    "nobodys": "1",
}


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("configs").mkdir()
    for name, text in FILES.items():
        Path(name).write_text(text)
    arguments = ["fit", "--config", "configs/main.yaml", "--trainer.logger", "nobodys"]
    yield lambda: recipe_of([*arguments, "--more=more.yaml"])
    assert not any(name.startswith("their_") for name in sys.modules)


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_a_config_leads_to_counts(recipe, name):
    before = recipe()
    assert recipe() == before
    Path(name).write_text(FILES[name] + "\n# 2\n" * (name != "configs/main.yaml") + "\n")
    if name == "configs/main.yaml":
        Path(name).write_text(CONFIG.replace("table", "tables"))
    assert (recipe() != before) == (name not in ("root", "nobodys"))


def test_configs_that_lead_to_each_other_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("data: b.yaml\n")
    Path("b.yaml").write_text("data: a.yaml\n")
    assert recipe_of(["--config", "a.yaml"]) == recipe_of(["--config", "a.yaml"])
