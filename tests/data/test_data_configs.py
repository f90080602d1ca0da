import re
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

from project.data import AttackDataModule, ImageListData, Reading

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "data").glob("*.yaml"))
NO_PHOTO_FILES = re.compile("shapes|cifar")  # drawn, or thousands in one file


def build(path, *arguments):
    parser = ArgumentParser()
    parser.add_subclass_arguments(AttackDataModule, "data")
    parser.add_argument("--config", action="config")
    config = parser.parse_args([f"--config={path}", *arguments])
    # The longer name is deprecated, and older versions of jsonargparse know no other.
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes
    return instantiate(config).data


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_says_where_it_comes_from_and_builds(path):
    assert path.read_text().startswith("# ")
    assert list(yaml.safe_load(path.read_text())) == ["data"]
    data = build(path, "--data.limit=3", "--data.on_error=skip")
    assert isinstance(data, AttackDataModule)
    assert (data.limit, data.on_error) == (3, "skip")


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_the_embedded_configs_give_a_batch(task):
    data = build(CONFIGS[0].with_name(f"shapes_{task}.yaml"), "--data.batch_size=2")
    data.setup("test")
    batch = next(iter(data.test_dataloader()[0]))
    assert batch["image"].shape == (2, 3, 64, 64)
    assert data.task == task


def test_the_folder_is_an_argument():
    data = build(CONFIGS[0].with_name("imagenet.yaml"), "--data.root=elsewhere")
    assert isinstance(data, ImageListData)
    assert (data.root, data.frame.crop) == ("elsewhere", 224)


@pytest.mark.parametrize("path", [path for path in CONFIGS if not NO_PHOTO_FILES.search(path.stem)])
def test_how_files_are_read_is_set_in_every_config_of_files(path):
    inner = "data.data" if path.stem == "camvid_cutouts" else "data"
    data = build(
        path,
        f"--{inner}.reading.orientation=displayed",
        f"--{inner}.reading.max_pixels=200000000",
        f"--{inner}.reading.outside_root=true",
    )
    reading = (data.data if inner == "data.data" else data).reading
    assert reading == Reading("displayed", 200_000_000, True)


@pytest.mark.parametrize("shards", ["a-{000..146}.tar", "{a,b}.tar", "{split}/*.tar", "a.tar"])
def test_patterns_of_shards_are_texts_whatever_they_begin_with(shards):
    split = "val" if "split" in shards else "null"
    path = CONFIGS[0].with_name("webdataset.yaml")
    data = build(path, f"--data.shards={shards}", f"--data.eval_split={split}")
    assert data.shards == shards
    data = build(path, f"--data.shards=[{shards!r}, b.tar]", f"--data.eval_split={split}")
    assert data.shards == [shards, "b.tar"]
