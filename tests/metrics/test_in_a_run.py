"""The panel, the split by mask and the feature distances in a whole experiment."""

import math

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor

from project.attacks import PGD, Attack
from project.attacks.core.result import Perturbed
from project.callbacks import AttackCallback, RunFolder
from project.core.errors import InputError
from project.evaluation import TransferEvaluation
from project.metrics import FeatureExtractor, frechet_distance, paired_kernel_distance
from project.storage.rows import read_measures, read_rows
from tests.experiment.scene import BATCHES, IMAGES, shapes, stored_images, victims


class Statistics(FeatureExtractor):
    """Mean and spread of each channel."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images.mean((2, 3)), images.std((2, 3))], 1)


class Unavailable(FeatureExtractor):
    """Features whose weights are nowhere."""

    def prepare(self) -> str:
        return "There are no weights."

    def forward(self, images: Tensor) -> Tensor:
        raise AssertionError("it cannot be had")


class LeftHalf(Attack):
    """Invert the left half of the images with an even index; the others have no mask at all."""

    targeted = False
    seed = 0

    def perturb(self, victim, images, target, index) -> Perturbed:
        mask = torch.zeros_like(images[:, :1])
        mask[index % 2 == 0, :, :, : images.shape[3] // 2] = 1
        found = mask * (1 - images) + (1 - mask) * images
        steps = torch.ones(len(images), dtype=torch.int64)
        return Perturbed(found, found, found - images, steps, mask=mask)


METRICS = ("mse", "linf", "psnr", "ms_ssim", "uqi")


def evaluated(folder, task, features=None, metrics=METRICS, more=(), **arguments):
    evaluation = TransferEvaluation(victims(task), metrics, features, **arguments)
    attacks = {"pgd": PGD(8 / 255, 4 / 255, steps=2), "half": LeftHalf()}
    callbacks = [
        AttackCallback(attacks, ["a"], str(folder / "store"), threads=1),
        RunFolder(str(folder / "run"), gallery=1),
        *more,
    ]
    quiet = dict.fromkeys(
        ["logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary"], False
    )
    trainer = L.Trainer(accelerator="cpu", devices=1, callbacks=callbacks, **quiet)
    trainer.test(evaluation, datamodule=shapes(task), verbose=False)
    return evaluation


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("classification")


@pytest.fixture(scope="module")
def evaluation(folder) -> TransferEvaluation:
    return evaluated(folder, "classification", {"stats": Statistics(), "other": Unavailable()})


def rows_of(folder, attack, victim="a"):
    rows = read_rows(folder / "run" / "rows.parquet").to_pylist()
    return [row for row in rows if (row["attack"], row["victim"]) == (attack, victim)]


def measures_of(folder, attack):
    measures = read_measures(folder / "run" / "metrics.csv")
    return {m.metric: m for m in measures if (m.attack, m.victim) == (attack, "a")}


def clean_images(task="classification") -> np.ndarray:
    samples = shapes(task).samples
    return np.stack([samples.read(index)[0] for index in range(IMAGES)])


def statistics(images: np.ndarray) -> Tensor:
    return Statistics()(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)


def test_change_inside_and_outside_the_mask_is_in_the_rows_of_attacks_with_a_mask(
    folder, evaluation
):
    clean, found = clean_images().astype(float), stored_images(folder / "store", "half", "a")
    for row in rows_of(folder, "half"):
        change = found[row["index"]] - clean[row["index"]]
        if row["index"] % 2:
            assert (row["mse_inside"], row["linf_inside"]) == (None, None)
        else:
            assert row["mse_inside"] == pytest.approx((change[:, :16] ** 2).mean())
            assert row["linf_inside"] == np.abs(change).max() / 255
        assert (row["mse_outside"], row["linf_outside"]) == (0, 0)
    assert {row["mse_inside"] for row in rows_of(folder, "pgd")} == {None}


def test_means_leave_out_images_without_a_value(folder, evaluation):
    inside = [row["mse_inside"] for row in rows_of(folder, "half") if row["index"] % 2 == 0]
    found = measures_of(folder, "half")["mse_inside"]
    assert found.total == len(inside) == (IMAGES + 1) // 2
    assert found.value == pytest.approx(math.fsum(inside) / len(inside))
    assert "mse_inside" not in measures_of(folder, "pgd")


def test_means_over_fooled_images_leave_them_out_too(folder, evaluation):
    fooled = [
        row["mse_inside"]
        for row in rows_of(folder, "half")
        if row["fooled"] and row["mse_inside"] is not None
    ]
    assert fooled
    found = measures_of(folder, "half")["mse_inside_fooled"]
    assert found.total == len(fooled)
    assert found.value == pytest.approx(math.fsum(fooled) / len(fooled))


def test_metric_that_the_images_are_too_small_for_is_left_out_with_a_line(folder, evaluation):
    assert {row["ms_ssim"] for row in rows_of(folder, "pgd")} == {None}
    assert "ms_ssim" not in measures_of(folder, "pgd")
    assert None not in {row["uqi"] for row in rows_of(folder, "pgd")}
    (notice,) = [notice for notice in evaluation.notices if notice.startswith("ms_ssim")]
    assert notice.endswith("images smaller than 161×161 pixels; the first is 32×32.")


@pytest.mark.parametrize("attack", ["pgd", "half"])
def test_distances_are_between_the_adversarial_and_their_own_clean_images(
    folder, evaluation, attack
):
    clean = statistics(clean_images())
    found = statistics(stored_images(folder / "store", attack, "a"))
    rows = sorted(rows_of(folder, attack), key=lambda row: row["index"])
    fooled = torch.tensor([row["fooled"] for row in rows])
    assert 2 <= fooled.sum() < IMAGES
    measures = measures_of(folder, attack)
    for which, chosen in (("", torch.ones_like(fooled)), ("_fooled", fooled)):
        for kind, distance in (("fid", frechet_distance), ("kid", paired_kernel_distance)):
            measure = measures[f"{kind}_stats{which}"]
            expected = distance(clean[chosen], found[chosen])
            assert measure.total == chosen.sum()
            assert measure.value == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_bias_and_number_of_images_of_fid_are_told(evaluation):
    assert (
        "fid_stats: over 11 images. Below about 10,000 FID is biased, so only values of equal N "
        "compare; KID, beside it, is unbiased and can be negative." in evaluation.notices
    )


def test_features_that_cannot_be_had_are_left_out_with_a_line(folder, evaluation):
    assert "fid_other and kid_other cannot be had. There are no weights." in evaluation.notices
    assert "fid_other" not in measures_of(folder, "pgd")


def test_segmenters_have_distances_over_all_images_and_none_over_fooled_ones(tmp_path):
    evaluated(tmp_path, "segmentation", {"stats": Statistics()})
    measures = measures_of(tmp_path, "half")
    assert measures["fid_stats"].total == IMAGES
    assert not [name for name in measures if name.endswith("_stats_fooled")]


def test_without_features_nothing_is_said_of_them(tmp_path):
    evaluation = evaluated(tmp_path, "classification")
    assert not [notice for notice in evaluation.notices if "fid" in notice]
    assert not [name for name in measures_of(tmp_path, "pgd") if name.startswith(("fid", "kid"))]


class Forwards(L.Callback):
    """Count the forward passes of modules from the first batch on."""

    def __init__(self) -> None:
        self.counts = {}

    def watch(self, name, module) -> None:
        self.counts[name] = 0
        module.register_forward_hook(lambda *_: self._add(name))

    def on_test_epoch_start(self, trainer, evaluation) -> None:
        self.counts = {}
        self.watch("victim", evaluation.victims["b"])  # which no attack asks
        self.watch("features", evaluation.features["stats"])
        (metric,) = evaluation._panel
        self.watch("trunk", metric.network.net)

    def _add(self, name) -> None:
        self.counts[name] += 1


@pytest.fixture
def lpips_in_the_panel(random_backbone, monkeypatch):
    monkeypatch.setattr("project.metrics.panel.published", lambda url: None)
    return ("lpips_squeeze",)


def test_every_network_sees_the_clean_images_once_for_all_attacks(tmp_path, lpips_in_the_panel):
    found = Forwards()
    features = {"stats": Statistics()}
    evaluated(tmp_path, "classification", features, lpips_in_the_panel, [found])
    attacks = 2
    assert found.counts == dict.fromkeys(["victim", "features", "trunk"], BATCHES * (1 + attacks))


def test_results_are_the_same_bytes_without_memory_for_clean_images(tmp_path, lpips_in_the_panel):
    files = []
    for memory in (0.0, 1.0):
        folder = tmp_path / str(memory)
        metrics = (*METRICS, "ssim", "scc", *lpips_in_the_panel)
        evaluated(folder, "classification", metrics=metrics, clean_memory=memory)
        files.append(
            [(folder / "run" / name).read_bytes() for name in ("rows.parquet", "metrics.csv")]
        )
    assert files[0] == files[1]


def test_memory_of_clean_images_is_given_back_after_the_test(evaluation):
    assert evaluation._comparison._clean._kept == {}


@pytest.mark.parametrize("memory", [-1.0, math.nan])
def test_memory_below_zero_is_refused(memory):
    with pytest.raises(InputError, match=r"clean_memory must be at least 0 GiB, got"):
        TransferEvaluation(victims("classification"), METRICS, clean_memory=memory)
