"""Every robust config goes on top of any config that trains a victim, and runs a step."""

from pathlib import Path

import pytest
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint

from project.callbacks import AdversarialBatches
from project.cli import train_main
from tests.training.robust_scene import IGNORED

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
SEGMENTERS = {"segpgd", "transegpgd"}
OVERLAYS = sorted(
    path
    for path in (CONFIGS / "robust").glob("*.yaml")
    if "class_path" not in yaml.safe_load(path.read_text())["model"] and path.stem != "camvid"
)
BASES = {
    "classification": CONFIGS / "shapes_resnet10t.yaml",
    "segmentation": CONFIGS / "shapes_unet.yaml",
}

pytestmark = [
    # Lightning calls what jsonargparse has renamed
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
    *(pytest.mark.filterwarnings(ignored) for ignored in IGNORED),
]


RUNS = [
    *((path, "classification") for path in OVERLAYS if path.stem not in SEGMENTERS),
    *((path, "segmentation") for path in OVERLAYS if path.stem in SEGMENTERS | {"trades", "ssta"}),
]


@pytest.mark.parametrize(("path", "task"), RUNS, ids=lambda value: getattr(value, "stem", value))
def test_config_runs_on_top_of_a_training(path: Path, task: str, tmp_path: Path):
    scratch = tmp_path / "scratch.yaml"  # the U-Net's encoder has not been trained here
    scratch.write_text("model: {init_args: {victim: {init_args: {encoder_checkpoint: null}}}}")
    metric = "robust_accuracy" if task == "classification" else "robust_miou"
    trainer = train_main(
        [
            "fit",
            *("--config", str(BASES[task]), "--config", str(path)),
            *(["--config", str(scratch)] if task == "segmentation" else []),
            f"--trainer.callbacks.dirpath={tmp_path / 'kept'}",
            f"--trainer.callbacks.monitor=val/{metric}",
            "--trainer.callbacks.filename=mine",
            "--trainer.fast_dev_run=1",
            f"--trainer.default_root_dir={tmp_path}",
            "--data.size=32",
            "--data.num_train=4",
            "--data.num_val=4",
            "--data.batch_size=4",
        ]
    )
    assert trainer.global_step == 1
    assert 0 <= trainer.callback_metrics[f"val/{metric}"] <= 1
    assert trainer.callback_metrics["train/loss"].isfinite()


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_config_says_what_it_is_and_keeps_the_standard_victim_apart(path: Path):
    text = path.read_text()
    assert text.startswith("# ")
    callbacks = yaml.safe_load(text)["trainer"]["callbacks"]
    assert callbacks[0]["class_path"].endswith(AdversarialBatches.__name__)  # or the Free ones
    saved = callbacks[-1]
    assert saved["class_path"] == ModelCheckpoint.__name__  # the last one hears the command line
    assert saved["init_args"]["dirpath"] == ".cache/robust"
    assert saved["init_args"]["filename"] == path.stem


@pytest.mark.parametrize("name", ["segpgd", "trades"])
def test_camvid_config_goes_behind_two_others(name: str):
    files = [CONFIGS / "camvid_unet.yaml", CONFIGS / "robust" / f"{name}.yaml"]
    files.append(CONFIGS / "robust" / "camvid.yaml")
    configs = [part for file in files for part in ("--config", str(file))]
    with pytest.raises(SystemExit) as left:
        train_main(["fit", *configs, "--print_config"])
    assert left.value.code == 0
