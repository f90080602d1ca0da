"""Optional packages are imported or named; files inside of them are found unrun."""

import json

import pytest

from project.core.errors import InputError
from project.core.packages import imported, in_package


def test_a_file_inside_is_found_without_running_the_package(tmp_path, monkeypatch):
    package = tmp_path / "mirage_weights_for_a_test"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemError('it ran')")
    (package / "models" / "one.pth").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    found = in_package("mirage_weights_for_a_test/models/one.pth")
    assert found == package / "models" / "one.pth"
    assert in_package("mirage_weights_for_a_test/models") == package / "models"
    assert in_package("mirage_weights_for_a_test/models/two.pth") is None


def test_what_is_not_installed_is_none():
    assert in_package("no_such_package_for_a_test/file") is None


def test_a_package_is_imported_or_named_with_its_command():
    assert imported("json", "It", "pip install json") is json
    with pytest.raises(
        InputError, match=r"^It needs the package nowhere_at_all, .*: pip install x$"
    ):
        imported("nowhere_at_all.inside", "It", "pip install x")
