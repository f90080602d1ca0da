"""Every config of metrics is understood and builds what it says."""

from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser

import project.cli.base  # noqa: F401 - knows short class names
from project.evaluation import TransferEvaluation
from project.metrics import PERCEPTUAL_NAMES, FeatureExtractor, InceptionFeatures

CONFIGS = Path(__file__).parents[2] / "configs" / "metrics"
PATHS = sorted(CONFIGS.glob("*.yaml"))


def parsed(content: dict):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TransferEvaluation, "model", skip={"victims"})
    return parser, parser.parse_object(content)


def features_of(content: dict) -> dict[str, FeatureExtractor]:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--features", type=dict[str, FeatureExtractor])
    features = {"features": content["model"]["features"]}
    return parser.instantiate(parser.parse_object(features)).features


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_config_of_metrics_says_what_it_is_and_is_understood(path):
    assert path.read_text().startswith("# ")
    parsed(yaml.safe_load(path.read_text()))


def test_full_config_asks_for_every_metric_once_and_for_inception():
    content = yaml.safe_load((CONFIGS / "full.yaml").read_text())
    assert sorted(content["model"]["metrics"]) == sorted(PERCEPTUAL_NAMES)
    features = features_of(content)
    assert list(features) == ["inception"]
    assert isinstance(features["inception"], InceptionFeatures)


def test_config_of_mobilenets_features_builds_them():
    content = yaml.safe_load((CONFIGS / "fid_mobilenet.yaml").read_text())
    del content["model"]["features"]["mobilenet_v2"]["init_args"]["victim"]["init_args"][
        "checkpoint"
    ]
    extract = features_of(content)["mobilenet_v2"]
    assert extract(torch.rand(1, 3, 64, 64)).shape == (1, 1280)


def test_metric_that_is_unknown_is_refused():
    with pytest.raises(Exception, match="sim"):
        parsed({"model": {"metrics": ["sim"]}})
