"""Answers to clean images are those of the very same batch and victim, or computed."""

import pytest
import torch

from project.core.answers import NO_PREDICTION, Answers
from project.storage.clean_answers import CleanAnswers

INDICES, ORIGINS = [3, 1], ["three", "one"]


def of_a_classifier() -> Answers:
    classes = torch.tensor([7, NO_PREDICTION], dtype=torch.int16)
    return Answers(classes, torch.tensor([0.1, float("nan")]))


def of_a_segmenter() -> Answers:
    return Answers(torch.randint(-1, 21, (2, 5, 6), dtype=torch.int16), None)


def kept(folder, description="a victim") -> CleanAnswers:
    return CleanAnswers(folder, "A victim/b", description)


@pytest.mark.parametrize("answers", [of_a_classifier(), of_a_segmenter()])
def test_what_was_saved_is_loaded_to_the_last_bit(tmp_path, answers):
    assert kept(tmp_path).load(INDICES, ORIGINS) is None
    kept(tmp_path).save(INDICES, ORIGINS, answers)
    found = kept(tmp_path).load(INDICES, ORIGINS)
    assert found.classes.dtype == torch.int16
    assert torch.equal(found.classes, answers.classes)
    if answers.confidence is None:
        assert found.confidence is None
    else:
        assert found.confidence.dtype == torch.float32
        assert torch.equal(found.confidence.nan_to_num(2), answers.confidence.nan_to_num(2))


@pytest.mark.parametrize(
    ("description", "indices", "origins"),
    [
        ("another victim", INDICES, ORIGINS),
        ("a victim", [1, 3], ["one", "three"]),
        ("a victim", [3], ["three"]),
        ("a victim", [3, 1, 2], ["three", "one", "two"]),
        ("a victim", INDICES, ["three", "changed"]),
    ],
)
def test_those_of_another_victim_batch_or_image_are_not_taken(
    tmp_path, description, indices, origins
):
    kept(tmp_path).save(INDICES, ORIGINS, of_a_classifier())
    assert kept(tmp_path, description).load(indices, origins) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "swapped"])
def test_a_damaged_file_is_told_and_replaced(tmp_path, damage):
    answers, other = kept(tmp_path), of_a_segmenter()
    answers.save(INDICES, ORIGINS, of_a_classifier())
    (path,) = answers.folder.iterdir()
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-20])
    elif damage == "flipped":
        path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    else:
        answers.save([5], ["five"], other)
        (_, wrong) = sorted(answers.folder.iterdir())
        path.write_bytes(wrong.read_bytes())
    with pytest.warns(UserWarning, match=r"cannot be used .*computed anew"):
        assert answers.load(INDICES, ORIGINS) is None
    answers.save(INDICES, ORIGINS, other)
    assert torch.equal(answers.load(INDICES, ORIGINS).classes, other.classes)


def test_equal_answers_are_equal_files(tmp_path):
    for folder in ("a", "b"):
        kept(tmp_path / folder).save(INDICES, ORIGINS, of_a_classifier())
    (one,), (two,) = ([*kept(tmp_path / name).folder.iterdir()] for name in "ab")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()
