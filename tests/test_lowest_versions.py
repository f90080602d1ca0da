"""constraints-lowest.txt holds what pyproject.toml admits at least, name by name."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
EXTRAS = ("test", "fid", "stlpips", "dashboards", "study")
"""The extras whose packages the quick suite has: `test`, and what it is made of."""


def bounds(project: dict) -> dict[str, set[Version]]:
    """Return the lowest versions that a project admits of each direct dependency."""
    lines = [*project["dependencies"]]
    for extra in EXTRAS:
        lines += project["optional-dependencies"][extra]
    found: dict[str, set[Version]] = {}
    for line in lines:
        requirement = Requirement(line)
        (bound,) = requirement.specifier  # one, so that a package without a bound is found
        assert bound.operator == ">=", line
        found.setdefault(canonicalize_name(requirement.name), set()).add(Version(bound.version))
    return found


def pins(text: str) -> dict[str, set[Version]]:
    """Return what constraints pin, but for lines with a comment: those hold what others need."""
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)
    return {canonicalize_name(name): {Version(version)} for name, version in pinned}


def unexplained(text: str) -> list[str]:
    """Return lines that neither pin one version nor tell in a comment why they hold one."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not re.fullmatch(r"[\w.-]+==\S+|\S+  # .+", line)]


def test_lowest_constraints_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "constraints-lowest.txt").read_text()
    assert pins(text) == bounds(project)
    assert unexplained(text) == []


def test_a_bound_apart_from_its_constraint_is_found():
    project = {
        "dependencies": ["torch>=2.11", "jsonargparse[signatures]>=4.52"],
        "optional-dependencies": {extra: [] for extra in EXTRAS} | {"test": ["pytest>=8"]},
    }
    agreeing = "torch==2.11.0\njsonargparse==4.52.0\npytest==8.0\npandas<3  # why\n"
    assert pins(agreeing) == bounds(project)
    assert unexplained(agreeing) == []
    assert pins(agreeing.replace("2.11.0", "2.11.1")) != bounds(project)
    assert pins(agreeing.replace("pytest==8.0\n", "")) != bounds(project)
    assert unexplained("pandas<3\n") == ["pandas<3"]
    project["dependencies"].append("numpy")
    with pytest.raises(ValueError, match="not enough values to unpack"):
        bounds(project)
