"""YAML from anybody: what unfolds without end is refused in a second, numbers are numbers."""

import ast
import time
from pathlib import Path

import pytest
import yaml

from project.core.errors import InputError
from project.core.yaml_files import MOST_NODES, parse_yaml, read_sections, read_yaml

ROOT = Path(__file__).parents[2]
TEN = range(1, 10)


def unfolding(first: str, again: str) -> str:
    """Return mappings of which each holds the one before ten times."""
    lines = [f"a0: &a0 {first}"]
    for place in TEN:
        aliases = ", ".join([f"*a{place - 1}"] * 10)
        lines.append(f"a{place}: &a{place} {again % aliases}")
    return "\n".join(lines)


HOSTILE = {
    "aliases": (unfolding("[x, x]", "[%s]"), "aliases unfolded, got more by line 6"),
    "merged keys": (unfolding("{x: 1}", "{<<: [%s]}"), "aliases unfolded, got more by line 6"),
    "an alias in itself": ("a: &a [*a]", "must not lie inside of what it stands for"),
    "brackets": ("[" * 100_000, "nested at most 100 deep, got more in line 1"),
    "braces": ("{a: " * 100_000, "nested at most 100 deep"),
    "indentation": ("".join(" " * n + "a:\n" for n in range(500)), "more in line 101"),
    "dashes": ("- " * 100_000, "nested at most 100 deep"),
    "length": ("a" * 2**21, "at most 1,048,576 characters"),
    "values": ("[" + "1, " * 300_000 + "]", "at most 50,000 keys and values"),
    "a number": ("a: " + "9" * 10_000, "limit"),
    "a key twice": ("a: 1\nb:\n  c: 1\n  c: 2", "got 'c' for the second time in line 4"),
    "a tab": ("a:\n\tb: 1", "in line 2, column 1"),
    "no number": ("a: {b: .NaN}", r"must be one, got \.NaN in line 1"),
    "code": (
        "a: !!python/object/apply:os.getcwd []",
        "could not determine a constructor .* line 1",
    ),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "a NUL": ("a: \0", "control characters"),
}


@pytest.mark.parametrize(("text", "told"), HOSTILE.values(), ids=HOSTILE)
def test_what_no_config_needs_is_refused_on_one_line_and_at_once(text, told):
    began = time.monotonic()
    with pytest.raises(InputError, match=f"the config must be YAML: .*{told}") as refused:
        parse_yaml(text, "the config")
    assert time.monotonic() - began < 5  # a second on a machine without other work
    assert "\n" not in str(refused.value)


def test_ordinary_aliases_and_merged_keys_are_kept():
    text = "x: &x {a: 1, b: [1, 2]}\ny: {<<: *x, a: 2}\nz: [*x, *x]"
    assert parse_yaml(text, "it") == yaml.safe_load(text)


def test_as_many_values_as_are_allowed_are_read():
    assert len(parse_yaml(f"[{'1,' * (MOST_NODES - 1)}]", "it")) == MOST_NODES - 1


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-3", 1e-3),
        ("1.5e3", 1500.0),
        ("-2E+4", -2e4),
        ("1.e-2", 0.01),
        ("1e", "1e"),
        ("e3", "e3"),
    ],
)
def test_numbers_with_an_exponent_are_numbers(written, meant):
    found = parse_yaml(f"a: {written}", "it")["a"]
    assert found == meant
    assert type(found) is type(meant)


def test_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(
        InputError, match=r"config\.yaml' must be text in UTF-8, got a byte .* at 3"
    ):
        read_yaml(path)


def test_file_without_sections_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("- 1")
    with pytest.raises(InputError, match=r"config\.yaml' must be sections .*, got list"):
        read_sections(path)
    path.write_text("")
    assert read_sections(path) == {}


def calls(name: str) -> list[tuple[Path, ast.Call]]:
    """Return all calls of the package of something with a name, such as ``torch.load``."""
    return [
        (path, node)
        for path in (ROOT / "project").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    ]


@pytest.mark.parametrize("name", ["yaml.safe_load", "yaml.full_load", "yaml.unsafe_load"])
def test_yaml_is_read_by_the_hardened_loader_alone(name):
    assert calls(name) == []


def test_no_file_is_unpickled():
    assert all("weights_only=True" in ast.unparse(call) for _, call in calls("torch.load"))
    assert not any("allow_pickle" in ast.unparse(call) for _, call in calls("np.load"))
    assert calls("pickle.load") + calls("pickle.loads") == []
