"""Packages that only some victims need are named where they are missing."""

import json

import pytest

from project.core.errors import InputError
from project.victims.extras import extra


def test_a_package_is_imported_or_named_with_its_command():
    assert extra("json", "It", "pip install json") is json
    with pytest.raises(
        InputError, match=r"^It needs the package nowhere_at_all, .*: pip install x$"
    ):
        extra("nowhere_at_all.inside", "It", "pip install x")
