"""Victims that are trained on first use."""

import pytest

from project.cli.attack import train_together


def test_failing_training_ends_the_experiment_with_what_it_said(tmp_path):
    config = tmp_path / "broken.yaml"
    config.write_text("model: {class_path: NoSuchTraining}\n")
    with pytest.raises(RuntimeError, match=r"(?s)training made\.ckpt failed:.*NoSuchTraining"):
        train_together({"made.ckpt": str(config)})


def test_nothing_missing_trains_nothing():
    train_together({})
