"""The experiment's LightningModule: every victim is evaluated on the images of every pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor, nn

from project.core.answers import Answers, answers_of
from project.core.errors import InputError
from project.data import AttackDataModule
from project.data.loader import first_images
from project.evaluation.feature_distances import FeatureDistances
from project.evaluation.intervals import with_intervals
from project.evaluation.origins import CleanOrigins
from project.evaluation.pass_metrics import Judge, PassMetrics, judges
from project.evaluation.plan import CLEAN, Pass
from project.evaluation.quality import visibility
from project.evaluation.result_parts import ResultParts
from project.evaluation.victim_metrics import Facts, flags
from project.metrics import (
    FeatureExtractor,
    PanelComparison,
    feature_panel,
    perceptual_panel,
    size_notices,
)
from project.metrics.panel import PerceptualName
from project.storage.clean_answers import CleanAnswers
from project.storage.files import WriteError
from project.storage.rows import Measure
from project.storage.traces import Trace
from project.victims import Victim, check_victims

DEFAULT_METRICS: tuple[PerceptualName, ...] = (
    "lpips_squeeze",
    "lpips_alex",
    "ssim",
    "psnr",
    "mse",
    "uqi",
    "uqi_sewar",
    "scc",
    "vif_p",
    "ciede2000",
    "l0",
    "l2",
    "linf",
)
"""Metrics of at most tens of milliseconds per image; configs/metrics/full.yaml has all."""

_PROBED = 2  # images of the victim check


class TransferEvaluation(L.LightningModule):
    """Evaluate attacks × sources × victims in one run.

    Each test dataloader is one pass over the same data: the first on clean images, each further
    one on those of one (attack, source), which a callback puts into the batch. Every victim judges
    every pass; where it is the source itself, that is the white-box case.

    After a test, on every process, ``measures`` holds the numbers of the data set; on rank 0 alone,
    segmenters' have intervals from the rows. Until the test ends, ``results`` holds one row per
    image × attack × source × victim and the attacks' traces of their steps, which a callback may
    write to a file on rank 0 in ``on_test_end``.

    Attributes:
        scratch: folder for rows and traces as long as the test runs, and for what else would not
            fit into memory; nothing else may be in it. None, unless a callback names one, is a
            temporary folder.
        clean_answers: by the victim's name, where its answers to clean images are kept for the next
            run; a callback may give some. They are those of the same batch, to the last bit.

    Args:
        victims: the victims by name, all of the data's task.
        metrics: perceptual metrics of the adversarial images; those whose backbone weights are
            unavailable are left out, with a line in ``notices``.
        features: by name, the feature extractors of FID and KID between adversarial and clean
            images; None computes neither. One whose weights are unavailable is left out likewise.
        clean_memory: GiB on the images' device, per process, to cache the metrics' features of
            clean images, so that they are computed once for all attacks; an image of 224² takes
            18 MiB by default. Those without room are recomputed for each attack, to the same
            values.
    """

    def __init__(
        self,
        victims: dict[str, Victim],
        metrics: Sequence[PerceptualName] = DEFAULT_METRICS,
        features: dict[str, FeatureExtractor] | None = None,
        clean_memory: float = 1.0,
    ) -> None:
        super().__init__()
        if not victims:
            raise InputError("an experiment needs at least one victim, got none.")
        if not clean_memory >= 0:
            raise InputError(f"clean_memory must be at least 0 GiB, got {clean_memory}.")
        self.victims = victims
        self.metrics = metrics
        self.features = features
        self.clean_memory = clean_memory
        self._panel, self.notices = perceptual_panel(metrics)
        self._extractors, missing = feature_panel(features or {})
        self.notices += missing
        # Registered for the device only. Names may hold dots, so modules go by place.
        networks = [metric for metric in self._panel if isinstance(metric, nn.Module)]
        extractors = self._extractors.values()
        self._networks = nn.ModuleList([*victims.values(), *networks, *extractors])
        self.plan: Sequence[Pass] = (CLEAN,)
        self.scratch: Path | None = None
        self.clean_answers: Mapping[str, CleanAnswers] = {}
        self.measures: list[Measure] = []
        self._judges: dict[str, Judge] = {}
        self._counts: list[PassMetrics] = []
        self._distances = FeatureDistances({}, self.plan, self.device)
        self._comparison = PanelComparison(self._panel, memory=0)

    def on_test_start(self) -> None:
        """Check the victims on real images, and start all counts at zero."""
        samples = self._data.samples
        images = first_images(samples, _PROBED)
        check_victims(self.victims, images.to(self.device), samples.task, samples.num_classes)
        self._counts = [PassMetrics(step, self.victims, samples, self.device) for step in self.plan]
        self._distances = FeatureDistances(self._extractors, self.plan, self.device)
        # With one adversarial pass no clean image is compared twice, so caching would be wasted.
        again = sum(not step.clean for step in self.plan) > 1
        memory = int(self.clean_memory * 2**30) if again else 0
        self._comparison = PanelComparison(self._panel, memory)
        told = [
            *size_notices(self._panel, *images.shape[2:]),
            *self._distances.notices(len(samples)),
        ]
        self.notices += [notice for notice in told if notice not in self.notices]

    def on_test_epoch_start(self) -> None:
        """Begin to collect rows, now that callbacks have cleared what earlier runs left."""
        self.results = ResultParts(self.scratch, self.global_rank)
        self._judges = judges(self.victims, self._data.samples, self.results.folder)

    def test_step(
        self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        """Evaluate all victims on one batch of one pass.

        Returns:
            Each victim's predicted classes, (N, …), by the victim's name;
            :data:`~project.core.answers.NO_PREDICTION` where a logit is not finite.
        """
        step, counts = self.plan[dataloader_idx], self._counts[dataloader_idx]
        images = batch["image"] if step.clean else batch["adversarial"]
        known = self._known(step, batch)
        answers = self._answers(images, batch, step.clean)
        found: dict[str, list[Facts]] = {}
        fooled: Tensor | None = None
        for name, told in answers.items():
            verdicts = self._judges[name].rows(told, batch["target"], batch["index"], step.clean)
            rows = [known[place] | {"victim": name} | row for place, row in enumerate(verdicts)]
            counts.by_victim[name].update(rows, told.classes.long(), batch["target"])
            found[name] = rows
            if name == step.source:
                counts.quality.update(rows)
                fooled = flags(rows, "fooled") if "fooled" in rows[0] else None
        if not step.clean:
            self.results.add(step, found, _traces(step, batch))
        self._distances.update(step, images, batch["index"], fooled)
        counts.ledger.update(batch["index"])
        return {name: told.classes.long() for name, told in answers.items()}

    def on_test_epoch_end(self) -> None:
        """Check that every sample was judged once, and compute all measures over all processes."""
        expected = self._data.samples.indices
        self.measures = [
            measure for counts in self._counts for measure in counts.measures(expected)
        ]
        self.measures += self._distances.measures()
        self._counts = []
        self.results.collect()
        if self._data.samples.task == "segmentation" and self.trainer.is_global_zero:
            self.measures = with_intervals(self.measures, self.results.cells())
        for measure in self.measures:
            self.log(measure_name(measure), measure.value, rank_zero_only=True)

    def on_test_end(self) -> None:
        """Remove the rows' parts, and free the memory of what is known of clean images."""
        self._comparison = PanelComparison(self._panel, memory=0)
        self._judges = {}
        self.results.close()

    def _answers(self, images: Tensor, batch: dict[str, Any], clean: bool) -> dict[str, Answers]:
        """Ask every victim, but for answers to clean images that are kept."""
        target, index = batch["target"], batch["index"].tolist()
        kept = self.clean_answers if clean else {}
        origins = CleanOrigins(images, target).now if kept else []
        answers: dict[str, Answers] = {}
        for name, victim in self.victims.items():
            found = kept[name].load(index, origins, images.device) if name in kept else None
            if found is None:
                found = answers_of(victim(images), target)
                if name in kept:
                    self._keep(kept[name], index, origins, found)
            answers[name] = found
        return answers

    def _keep(
        self, kept: CleanAnswers, index: list[int], origins: list[str], found: Answers
    ) -> None:
        """Keep answers, unless that cannot be: nothing rests on them, and they can be had again."""
        try:
            kept.save(index, origins, found)
        except WriteError as error:
            notice = f"answers to clean images are not kept: {error}"
            if not any(one.startswith("answers to clean") for one in self.notices):
                self.notices.append(notice)

    def _known(self, step: Pass, batch: dict[str, Any]) -> list[Facts]:
        """Return the columns of each image's rows that do not depend on the victim."""
        samples = self._data.samples
        facts: list[Facts] = [{} for _ in batch["index"]]
        if not step.clean:
            crafted = batch["crafted"]
            seen = visibility(
                self._comparison, batch["image"], batch["adversarial"], batch["index"], crafted
            )
            facts = [one.facts | more for one, more in zip(crafted, seen, strict=True)]
        return [
            {
                "index": index,
                "name": samples.name(index),
                "task": samples.task,
                "attack": step.attack,
                "source": step.source,
                **facts[place],
            }
            for place, index in enumerate(batch["index"].tolist())
        ]

    @property
    def _data(self) -> AttackDataModule:
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, AttackDataModule)
        return data


def measure_name(measure: Measure) -> str:
    """Return the stable name under which a number is tracked, such as ``pgd/vit/resnet/asr``."""
    parts = (measure.attack, measure.source, measure.victim, measure.metric)
    return "/".join(part for part in parts if part)


def _traces(step: Pass, batch: dict[str, Any]) -> list[Trace]:
    return [
        Trace(step.attack, step.source, index, crafted.traces)
        for index, crafted in zip(batch["index"].tolist(), batch["crafted"], strict=True)
        if crafted.traces
    ]
