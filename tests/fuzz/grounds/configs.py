"""Configs in YAML, up to the classes that they build."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from project.cli.attack import experiment
from project.cli.base import extend_yaml
from tests.fuzz.ground import Ground

_CONFIG = """\
seed_everything: 0
data:
  class_path: ShapesData
  init_args:
    task: classification
    size: 32
    num_test: 4
    batch_size: 2
model:
  victims:
    a:
      class_path: TimmVictim
      init_args:
        architecture: test_vit
        num_classes: 4
        mean: [0.5, 0.5, 0.5]
        std: [0.5, 0.5, 0.5]
  metrics: [ssim, psnr]
attack:
  attacks:
    pgd:
      class_path: PGD
      init_args:
        eps: 8/255
        step_size: 2/255
        steps: 2
    ssta:
      class_path: SSTA
      init_args:
        saliency: FrequencyTuned
        steps: 2
  store: store
run:
  folder: run
trainer:
  accelerator: cpu
  logger: false
"""
_WORDS = tuple(
    word.encode()
    for word in (
        *("class_path: os.system", "class_path: subprocess.Popen", "class_path: builtins.eval"),
        *("os.system", "!!python/object/apply:os.system ['true']", "!!python/name:os.system"),
        *("{class_path: os.system, init_args: {command: touch /tmp/started}}", "&a ", "*a"),
        *("<<: *a", "null", "~", ".nan", ".inf", "-.inf", "1e400", "8/0", "0x", "1_000", "yes"),
        *("[", "]", "{", "}", ":", "- ", "? ", "|", ">", "\t", "#", "\x00", "---\n", "...\n"),
        *("%YAML 9.9\n", "steps: -1\n", "eps: 8\n", "PGD", "FGSM", "project.attacks", "torch"),
        *("lightning.pytorch.callbacks.ModelCheckpoint", "../../x", "/dev/zero", "${HOME}"),
        *("init_args:\n", "class_path: ", "''", '"', "🦄", "\u202e", "\ud7ff", "9" * 400),
    )
)


@dataclass(frozen=True)
class Configs(Ground):
    """An experiment's config; its classes are built, and nothing runs."""

    def __post_init__(self) -> None:
        """Know the words of a config."""
        object.__setattr__(self, "words", _WORDS)

    def make(self, folder: Path) -> None:
        """Write the config."""
        (folder / "config.yaml").write_text(_CONFIG)

    def targets(self, folder: Path) -> list[Path]:
        """Return the config."""
        return [folder / "config.yaml"]

    def use(self, folder: Path) -> Any:
        """Return what the classes were built with."""
        os.chdir(folder)
        cli = experiment(["--config", str(folder / "config.yaml")])
        return cli.parser.dump(cli.config, skip_check=True)

    def right(self, folder: Path, result: Any, intact: Any) -> bool:
        """Look every value of the file up in the config that was used."""
        extend_yaml()
        # By the C library, which takes tabs between values as Mirage's loader does.
        written = yaml.load((folder / "config.yaml").read_bytes(), Loader=yaml.CSafeLoader)
        return result == intact or _within(written, yaml.safe_load(result))


def _within(written: Any, used: Any) -> bool:
    """Return whether all that was written is used; names of classes may have become longer."""
    if isinstance(written, dict):
        return isinstance(used, dict) and all(
            key in used and _within(value, used[key]) for key, value in written.items()
        )
    if isinstance(written, str) and "class_path" not in str(used):
        return _same(written, used)
    return isinstance(written, str | list | tuple | type(None)) or _same(written, used)


def _same(written: Any, used: Any) -> bool:
    if isinstance(used, float | int) and isinstance(written, str) and "/" in written:
        numerator, denominator = written.split("/")
        return abs(float(numerator) / float(denominator) - used) < 1e-9
    if isinstance(used, str):
        return str(used).endswith(str(written)) or str(written) in str(used)
    return bool(str(written) == str(used) or float(written) == float(used))
