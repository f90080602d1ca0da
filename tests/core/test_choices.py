from typing import Literal, get_args

import pytest

from project.core.choices import choose
from project.core.errors import InputError

Combine = Literal["max", "mean"]


def test_a_mapping_gives_what_the_value_stands_for():
    assert choose("side", {"b0": 320, "b7": 640}, "b7") == 640


def test_a_literal_gives_the_value_itself():
    assert choose("combine", get_args(Combine), "mean") == "mean"


def test_options_that_can_be_read_once_are_enough():
    assert choose("letter", iter("abc"), "c") == "c"


@pytest.mark.parametrize("options", [{"max": 1, "mean": 2}, ("max", "mean"), get_args(Combine)])
def test_another_value_is_refused_with_the_names_that_are_known(options):
    with pytest.raises(InputError) as caught:
        choose("combine", options, "sum")
    assert str(caught.value) == "combine must be one of max, mean, got 'sum'."


def test_a_value_that_cannot_be_hashed_is_refused_like_any_other():
    with pytest.raises(InputError, match=r"must be one of max, mean, got \['max'\]"):
        choose("combine", {"max": 1, "mean": 2}, ["max"])
