"""What people share names no folder, user or key of this machine, and can still be run."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from project.core.portable import at_home, portable, portable_command, portable_tree


@pytest.fixture(params=["mirage", "my work (new)"])
def home(tmp_path, monkeypatch, request):
    """A home with a project in it, which is the working folder, and data beside it."""
    home = tmp_path / "alice"
    for folder in (request.param, "imagenet/val set", "other"):
        (home / folder).mkdir(parents=True)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / request.param)
    return home


def test_paths_become_relative_wherever_they_stand(home):
    here = Path.cwd()
    told = portable(f"root: {home}/imagenet/val\n'{here}/a.yaml': {here}, {here / 'b'}/c\n{home}")
    assert "alice" not in told
    found = [os.path.normpath(part) for part in ("../imagenet/val", "a.yaml", ".", "b/c", "..")]
    lines = told.replace("root: ", "").replace("'", "").replace(": ", "\n").replace(", ", "\n")
    assert [os.path.normpath(line) for line in lines.splitlines()] == found


@pytest.mark.parametrize(
    "text",
    [
        *("8/255", "eps 8/255 or -1/2", "a/b/c", "/255", "/m/01g317", "https://x.org/a/b", "~/x"),
        *("/dev/null", "project.attacks.PGD", "50 %/h", "", "//"),
    ],
)
def test_what_is_no_path_of_this_machine_stays(text):
    assert portable(text) == text


def test_no_login_and_no_key_is_told(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    told = portable("--a 0123456789abcdef hf_secretsecret https://bob:pw@x.org/w.pt")
    assert told == "--a *** *** https://***@x.org/w.pt"


def test_a_tree_is_portable_down_to_its_keys(home):
    path = str(home / "other" / "w.pt")
    told = portable_tree({path: [path, 3, None, {"a": (path,)}], "b": Path(path)})
    assert told == {
        "../other/w.pt": ["../other/w.pt", 3, None, {"a": ("../other/w.pt",)}],
        "b": Path("../other/w.pt"),
    }


@pytest.mark.parametrize("outside", [False, True])
def test_a_command_can_be_copied(home, monkeypatch, outside):
    if outside:
        monkeypatch.chdir(home.parent / "scratch")
    words = [
        f"{Path.cwd()}/attack.py",
        f"--data.root={home}/imagenet/val set",
        f"{home}/other",
        "$x",
    ]
    command = portable_command(["printf", "%s\\0", *words])
    assert "alice" not in command
    said = subprocess.run(command, shell=True, capture_output=True, check=True, text=True).stdout
    found = [word.removeprefix("--data.root=") for word in said.split("\0")[:-1]]
    there = [word.removeprefix("--data.root=") for word in words]
    assert found[3] == "$x"
    for one, other in zip(found[:3], there, strict=False):
        assert os.path.realpath(one) == os.path.realpath(other)
    assert shlex.split(command)[0] == "printf"


def test_what_was_made_portable_is_found_again_from_a_config(home, monkeypatch):
    monkeypatch.chdir(home.parent / "scratch")
    roots = {"root": f"{home}/imagenet", "list": [f"{home}/other"], "eps": 0.5, "text": "a~/b"}
    told = portable_tree(roots)
    assert "alice" not in str(told)
    assert at_home(told) == roots
