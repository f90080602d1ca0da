"""``mirage``: one name for every command, and the lists of what there is."""

import importlib.machinery
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import project.attacks
import project.data
import project.victims
from project.__main__ import COMMANDS, main
from project.attacks import Attack
from project.cli.listing import WHAT, listed
from project.cli.listing import main as list_main
from project.core.portable import started_command
from project.data import AttackDataModule
from project.metrics.panel import PERCEPTUAL_NAMES
from project.victims import Victim

ROOT = Path(__file__).parents[2]
BASES = {
    "attacks": (project.attacks, Attack),
    "victims": (project.victims, Victim),
    "data": (project.data, AttackDataModule),
}


def called(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["mirage", *arguments])
    main()


def test_without_a_command_all_are_told(monkeypatch, capsys):
    called(monkeypatch)
    told = capsys.readouterr().out
    assert all(f"\n  {name}" in told for name in COMMANDS)
    called(monkeypatch, "--help")
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("given", "told"),
    [("atack", r" Do you mean attack\?"), ("reprt", r" Do you mean report\?"), ("zzz", "")],
)
def test_an_unknown_command_is_refused_with_one_close_to_it(monkeypatch, given, told):
    with pytest.raises(SystemExit, match=rf"must be one of attack, .*got '{given}'\.{told}$"):
        called(monkeypatch, given)


@pytest.mark.parametrize("arguments", [(), ("--run.folder", "x")])
def test_a_grid_without_its_file_is_refused(monkeypatch, arguments):
    with pytest.raises(SystemExit, match="must be given the grid's file first"):
        called(monkeypatch, "grid", *arguments)


def test_a_command_has_its_own_arguments_name_and_status(tmp_path):
    command = [sys.executable, "-m", "project", "check"]
    ended = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "has no SHA256SUMS" in ended.stdout
    ended = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("usage: mirage check")


@pytest.mark.parametrize("command", ["attack", "train"])
def test_further_processes_are_started_with_the_same_command(monkeypatch, command):
    """Lightning makes their command line from ``sys.argv`` while an experiment runs."""
    seen = []
    main_of = {"attack": "project.cli.attack_main", "train": "project.cli.train_main"}[command]
    monkeypatch.setattr(main_of, lambda args: seen.append((args, list(sys.argv))))
    called(monkeypatch, command, "--trainer.devices", "2")
    assert seen == [(["--trainer.devices", "2"], ["mirage", command, "--trainer.devices", "2"])]


@pytest.mark.parametrize(
    ("name", "module", "told"),
    [
        ("mirage", None, "mirage attack --x 1"),
        ("attack.py", None, "python attack.py attack --x 1"),
        ("__main__.py", "project.__main__", "python -m project attack --x 1"),
        ("nowhere", None, "python nowhere attack --x 1"),
    ],
)
def test_a_run_tells_the_command_that_makes_it_again(tmp_path, monkeypatch, name, module, told):
    monkeypatch.chdir(tmp_path)
    for there in ("mirage", "attack.py", "__main__.py"):
        (tmp_path / there).touch()
    monkeypatch.setattr(sys, "argv", [str(tmp_path / name), "attack", "--x", "1"])
    spec = module and importlib.machinery.ModuleSpec(module, None)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    assert started_command().replace(str(tmp_path) + "/", "") == told


def test_the_entry_point_is_this_command():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"mirage": f"{main.__module__}:{main.__name__}"}


@pytest.mark.parametrize("what", BASES)
def test_every_public_class_of_a_kind_is_listed(what):
    module, base = BASES[what]
    public = {name for name in module.__all__ if isinstance(vars(module)[name], type)}
    kinds = {name for name in public if issubclass(vars(module)[name], base)}
    abstract = {name for name in kinds if getattr(vars(module)[name], "__abstractmethods__", ())}
    assert set(listed(what)) == kinds - abstract - {base.__name__}


@pytest.mark.parametrize("what", WHAT)
def test_each_name_has_one_line_without_formulas(what, capsys):
    found = listed(what)
    assert all(line and "$$" not in line and "\n" not in line for line in found.values())
    list_main([what])
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{what}:"
    assert [line.split()[0] for line in told[1:]] == list(found)


def test_metrics_are_those_of_the_panel_in_its_order():
    assert tuple(listed("metrics")) == PERCEPTUAL_NAMES
    assert listed("metrics")["psnr"].startswith("Peak signal-to-noise ratio")
