"""The README's commands are commands."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from project.cli import attack_main, train_main
from tests.attack_table import attack_table, written

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines() if line.strip()
]
SCRIPTS = [
    shlex.split(command)[1:]
    for command in COMMANDS
    if command.startswith("python ") and "--config" in command
]


def test_readme_shows_experiments_and_training():
    assert {arguments[0] for arguments in SCRIPTS} == {"attack.py", "train.py"}


@pytest.mark.parametrize("arguments", SCRIPTS, ids=lambda arguments: " ".join(arguments[:2]))
def test_command_of_a_script_is_understood(arguments, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    script, *options = arguments
    main = attack_main if script == "attack.py" else train_main
    with pytest.raises(SystemExit) as ended:
        main([*options, "--print_config"])
    assert ended.value.code == 0
    assert "class_path:" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(set(re.findall(r"configs/[\w/]+\.yaml", README))))
def test_config_that_the_readme_names_exists(path):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make (\w+)", README, re.MULTILINE))))
def test_make_knows_the_target(target):
    subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_the_table_of_attacks_is_what_the_code_says():
    assert written(README) == README, "run python -m tests.attack_table"


def test_every_attack_of_the_table_has_a_source():
    sources = [line.split(" | ")[-1] for line in attack_table().splitlines()[2:]]
    assert sources
    assert "– |" not in sources
