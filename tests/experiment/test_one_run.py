"""What one run leaves behind, recomputed from its images with numpy, scikit-image and nothing else.

The reference has its own clean images, reads the store's files and calls the victims itself.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from project.report.gallery import samples
from project.storage.rows import Measure, read_measures, read_rows
from project.victims import Victim
from tests.experiment.scene import IMAGES, attacks, run, shapes, stored_images, victims

PASSES = [(attack, source) for attack in ("pgd", "fgsm") for source in "ab"]
JUDGED = [(attack, source, victim) for attack, source in PASSES for victim in "ab"]


@dataclass
class Finished:
    """A finished run, with the clean images and targets of its data."""

    folder: Path
    victims: dict[str, Victim]
    clean: np.ndarray
    target: np.ndarray
    rows: list[dict]
    measures: dict[tuple[str, ...], Measure]

    def adversarial(self, attack: str, source: str) -> np.ndarray:
        return stored_images(self.folder / "store", attack, source)

    def logits(self, victim: str, images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255
        with torch.no_grad():
            return self.victims[victim](batch).double().numpy()

    def predicted(self, victim: str, images: np.ndarray) -> np.ndarray:
        return self.logits(victim, images).argmax(1)

    def rows_of(self, attack: str, source: str, victim: str) -> list[dict]:
        named = {"attack": attack, "source": source, "victim": victim}
        return [row for row in self.rows if row.items() >= named.items()]


def finished(folder: Path, task: str) -> Finished:
    judged = victims(task)
    run(folder, data=shapes(task), victims=judged, attacks=attacks())
    samples = shapes(task).samples
    images, targets = zip(*(samples.read(index) for index in range(IMAGES)), strict=True)
    measures = read_measures(folder / "run" / "metrics.csv")
    return Finished(
        folder=folder,
        victims=judged,
        clean=np.stack(images),
        target=np.stack(targets),
        rows=read_rows(folder / "run" / "rows.parquet").to_pylist(),
        measures={(m.attack, m.source, m.victim, m.metric): m for m in measures},
    )


@pytest.fixture(scope="module")
def classified(tmp_path_factory) -> Finished:
    return finished(tmp_path_factory.mktemp("classified"), "classification")


@pytest.fixture(scope="module")
def segmented(tmp_path_factory) -> Finished:
    return finished(tmp_path_factory.mktemp("segmented"), "segmentation")


@pytest.fixture(params=["classified", "segmented"])
def either(request) -> Finished:
    return request.getfixturevalue(request.param)


def test_folder_holds_rows_measures_facts_report_and_gallery(either: Finished):
    folder = either.folder / "run"
    for name in ("rows.parquet", "metrics.csv", "run.json", "report.html"):
        assert (folder / name).stat().st_size > 0
    facts = json.loads((folder / "run.json").read_text())
    assert facts["images"] == IMAGES
    assert facts["notices"] == []
    assert {
        name: told.partition(";")[0] for name, told in facts["copies"].items()
    } == dict.fromkeys(either.victims, "channels_last")
    assert "channels_last; on 4 images" in (folder / "report.html").read_text()
    assert set(facts["weights"]) == set(either.victims)
    pictures = sorted(str(path.relative_to(folder)) for path in folder.rglob("adversarial.png"))
    places = [0, IMAGES // 2]
    assert pictures == sorted(
        f"gallery/{attack}/{source}/{place:08d}/adversarial.png"
        for attack, source in PASSES
        for place in places
    )


def test_gallery_shows_the_stored_images_beside_the_clean_ones(either: Finished):
    kept = {(one.attack, one.source, one.index): one for one in samples(either.folder / "run")}
    for attack, source in PASSES:
        shown = kept[attack, source, IMAGES // 2]
        for name, expected in (
            ("clean", either.clean),
            ("adversarial", either.adversarial(attack, source)),
        ):
            np.testing.assert_array_equal(shown.read(name), expected[IMAGES // 2])


def test_gallery_shows_what_the_source_sees_in_either_image(segmented: Finished):
    kept = [one for one in samples(segmented.folder / "run") if one.index == IMAGES // 2]
    assert len(kept) == len(PASSES)
    for one in kept:
        for name, images in (
            ("clean", segmented.clean),
            ("adversarial", segmented.adversarial(one.attack, one.source)),
        ):
            seen = segmented.predicted(one.source, images)[one.index]
            np.testing.assert_array_equal(one.read(f"prediction_{name}", "L"), seen)
        np.testing.assert_array_equal(one.read("target", "L"), segmented.target[one.index])


def test_there_is_one_row_per_image_attack_source_and_victim(either: Finished):
    keys = [(row["attack"], row["source"], row["victim"], row["index"]) for row in either.rows]
    assert keys == sorted((*judged, index) for judged in JUDGED for index in range(IMAGES))
    assert {row["name"] for row in either.rows} == {f"test_{n:05d}" for n in range(IMAGES)}


def test_stored_images_keep_the_budget_and_change_something(either: Finished):
    for attack, source in PASSES:
        change = either.adversarial(attack, source).astype(int) - either.clean
        assert 0 < np.abs(change).max() <= {"pgd": 4, "fgsm": 8}[attack]


def test_perceptual_means_are_those_of_the_stored_images(either: Finished):
    for attack, source in PASSES:
        pairs = list(zip(either.clean, either.adversarial(attack, source), strict=True))
        change = (np.stack([b for _, b in pairs]).astype(float) - either.clean) / 255
        flat = change.reshape(IMAGES, -1)
        expected = {
            "ssim": [ssim(*pair) for pair in pairs],
            "psnr": [peak_signal_noise_ratio(*pair, data_range=255) for pair in pairs],
            "mse": [mean_squared_error(*pair) for pair in pairs],
            "l2": np.linalg.norm(flat, axis=1),
            "linf": np.abs(flat).max(1),
        }
        for metric, values in expected.items():
            found = either.measures[attack, source, source, metric]
            assert found.total == IMAGES
            assert found.value == pytest.approx(np.mean(values), rel=1e-9)
            for victim in "ab":
                column = [row[metric] for row in either.rows_of(attack, source, victim)]
                np.testing.assert_allclose(column, values, rtol=1e-9)


def ssim(clean: np.ndarray, adversarial: np.ndarray) -> float:
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(clean, adversarial, data_range=255, channel_axis=2, **window)


def test_success_rates_count_among_images_that_the_judging_victim_got_right(classified: Finished):
    some_transfer = 0
    for attack, source, victim in JUDGED:
        right = classified.predicted(victim, classified.clean) == classified.target
        assert 0 < right.sum() < IMAGES
        adversarial = classified.adversarial(attack, source)
        wrong = classified.predicted(victim, adversarial) != classified.target
        asr = classified.measures[attack, source, victim, "asr"]
        assert (asr.hits, asr.total) == ((right & wrong).sum(), right.sum())
        assert asr.value == asr.hits / asr.total
        assert (asr.low, asr.high) == pytest.approx(wilson(asr.hits, asr.total))
        robust = classified.measures[attack, source, victim, "robust_accuracy"]
        assert (robust.hits, robust.total) == ((~wrong).sum(), IMAGES)
        some_transfer += asr.hits if victim != source else 0
    assert some_transfer > 0


def test_victims_are_right_on_different_images(classified: Finished):
    a, b = (classified.predicted(name, classified.clean) == classified.target for name in "ab")
    assert (a != b).any()


def test_clean_accuracy_is_that_of_the_clean_images(classified: Finished):
    for victim in "ab":
        right = classified.predicted(victim, classified.clean) == classified.target
        found = classified.measures["", "", victim, "clean_accuracy"]
        assert (found.hits, found.total) == (right.sum(), IMAGES)


def test_rows_tell_each_victims_verdict_on_each_image(classified: Finished):
    for attack, source, victim in JUDGED:
        rows = classified.rows_of(attack, source, victim)
        before = classified.logits(victim, classified.clean)
        after = classified.logits(victim, classified.adversarial(attack, source))
        for column, expected in {
            "target": classified.target,
            "clean_prediction": before.argmax(1),
            "prediction": after.argmax(1),
            "clean_correct": before.argmax(1) == classified.target,
            "correct": after.argmax(1) == classified.target,
        }.items():
            assert [row[column] for row in rows] == expected.tolist()
        for column, logits in {"clean_confidence": before, "confidence": after}.items():
            trust = softmax(logits)[np.arange(IMAGES), classified.target]
            assert [row[column] for row in rows] == pytest.approx(trust.tolist(), rel=1e-4)
        drop = classified.measures[attack, source, victim, "confidence_drop"]
        lost = [row["clean_confidence"] - row["confidence"] for row in rows]
        assert drop.value == pytest.approx(math.fsum(lost) / IMAGES)


def test_rows_alone_give_the_rates(classified: Finished):
    for attack, source, victim in JUDGED:
        rows = classified.rows_of(attack, source, victim)
        asr = classified.measures[attack, source, victim, "asr"]
        assert asr.hits == sum(row["fooled"] for row in rows)
        assert asr.total == sum(row["clean_correct"] for row in rows)


def test_quality_of_fooled_images_is_the_mean_over_those_that_fool_their_source(
    classified: Finished,
):
    counts = set()
    for attack, source in PASSES:
        fooled = [row for row in classified.rows_of(attack, source, source) if row["fooled"]]
        counts.add(len(fooled))
        for metric in ("ssim", "psnr", "l2") if fooled else ():
            found = classified.measures[attack, source, source, f"{metric}_fooled"]
            assert found.total == len(fooled)
            assert found.value == pytest.approx(np.mean([row[metric] for row in fooled]))
    assert counts - {0, IMAGES}


def test_attacks_own_verdict_is_the_sources(classified: Finished):
    for attack, source in PASSES:
        rows = classified.rows_of(attack, source, source)
        assert [row["success"] for row in rows] == [not row["correct"] for row in rows]
        assert {row["steps"] for row in rows} == {3 if attack == "pgd" else 1}


def test_miou_and_pixel_rates_are_those_of_the_stored_images(segmented: Finished):
    valid = segmented.target != 255
    assert not valid.all()
    passes = {(attack, source): segmented.adversarial(attack, source) for attack, source in PASSES}
    for (attack, source), images in {("", ""): segmented.clean, **passes}.items():
        for victim in "ab":
            predicted = segmented.predicted(victim, images)
            counts = confusion(segmented.target[valid], predicted[valid])
            prefix = "" if attack else "clean_"
            miou = segmented.measures[attack, source, victim, f"{prefix}miou"]
            assert miou.value == pytest.approx(mean_iou(counts), rel=1e-12)
            accuracy = segmented.measures[attack, source, victim, f"{prefix}pixel_accuracy"]
            assert (accuracy.hits, accuracy.total) == (np.trace(counts), valid.sum())


def test_fooled_pixels_count_among_valid_pixels_that_were_right(segmented: Finished):
    valid = segmented.target != 255
    for attack, source, victim in JUDGED:
        before = (segmented.predicted(victim, segmented.clean) == segmented.target) & valid
        adversarial = segmented.adversarial(attack, source)
        after = (segmented.predicted(victim, adversarial) == segmented.target) & valid
        fooled = before & ~after
        rate = segmented.measures[attack, source, victim, "fooled_pixels"]
        assert (rate.hits, rate.total) == (fooled.sum(), before.sum())
        assert rate.hits > 0
        rows = segmented.rows_of(attack, source, victim)
        for column, pixels in {
            "valid_pixels": valid,
            "clean_correct_pixels": before,
            "correct_pixels": after,
            "fooled_pixels": fooled,
        }.items():
            assert [row[column] for row in rows] == pixels.sum((1, 2)).tolist()


def confusion(target: np.ndarray, predicted: np.ndarray, classes: int = 7) -> np.ndarray:
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (target, predicted), 1)
    return counts


def mean_iou(counts: np.ndarray) -> float:
    union = counts.sum(0) + counts.sum(1) - np.diag(counts)
    return float(np.mean(np.diag(counts)[union > 0] / union[union > 0]))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def wilson(hits: int, total: int, z: float = 1.959963984540054) -> tuple[float, float]:
    rate, spread = hits / total, z * z / total
    centre = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / total + spread / (4 * total)) / (1 + spread)
    return centre - half, centre + half
