"""Universal perturbation: the same noise for all images, fitted beforehand to a data set."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack
from project.attacks.core.query import query
from project.attacks.core.result import Perturbed
from project.core.errors import InputError
from project.threat_models import Linf
from project.victims.weights import WeightsError, read_weights, resolve

_RECIPE = "python train.py fit --config configs/train/universal_shapes.yaml"


@dataclass(frozen=True)
class Universal(Attack):
    r"""Add the same noise to every image: $$x_{adv} = [x + \delta]_{0,1}$$.

    δ is fitted once, by ``train.py`` with ``UniversalTraining``; the attack does not depend on the
    victim's answers, so every victim but the one it was fitted to is a black box.

    Source: Moosavi-Dezfooli et al., "Universal Adversarial Perturbations", CVPR 2017 [paper].

    Raises:
        WeightsError: if the file is missing, unreadable, or holds no perturbation.
        ValueError: if the perturbation is larger than ``eps``.
    """

    targeted = False
    seed = 0  # nothing is drawn

    checkpoint: str | Path
    """File that the fit saved. ``~`` and ``${NAME}`` (an environment variable) are expanded."""
    eps: float = 8 / 255
    """Budget in units of the [0, 1] range, at least the fitted perturbation's; 8/255, the fit's
    default."""

    def __post_init__(self) -> None:
        size = self._perturbation.abs().amax().item()
        if size > self.eps * (1 + 1e-6):
            raise InputError(
                f"the universal perturbation {str(self.checkpoint)!r} must fit into eps "
                f"{self.eps:.5f}, got one of {size:.5f}. Raise eps to its size "
                f"({size * 255:.3g}/255), or fit one with --model.eps of yours."
            )

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Add the perturbation; see :class:`~project.attacks.Attack`."""
        with torch.no_grad():
            query(victim, images[:1], target[:1])  # only to refuse a target of another kind
        threat = self.threat_model
        perturbation = threat.project(images, self._spread(images))
        float_images = threat.apply(images, perturbation)
        return Perturbed(
            images=threat.round(images, float_images),
            float_images=float_images,
            perturbation=perturbation,
            steps=torch.zeros(len(images), dtype=torch.int64, device=images.device),
            threat_model=threat,
        )

    @property
    def threat_model(self) -> Linf:
        """The ball of ``eps``."""
        return Linf(self.eps)

    @cached_property
    def _perturbation(self) -> Tensor:
        return _read(self.checkpoint)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the perturbation, whatever its file is called."""
        return hashlib.sha256(self._perturbation.numpy().tobytes()).hexdigest()

    def _spread(self, images: Tensor) -> Tensor:
        fitted, found = self._perturbation.shape[1:], images.shape[1:]
        if fitted != found:
            raise InputError(
                f"the universal perturbation {str(self.checkpoint)!r} must have the images' "
                f"channels, height and width {tuple(found)}, got {tuple(fitted)}. Give the data "
                "the frame that it was fitted on, or fit another one with --model.size "
                f"'[{found[1]}, {found[2]}]'."
            )
        return self._perturbation.to(images).expand_as(images)


def _read(checkpoint: str | Path) -> Tensor:
    try:
        weights = read_weights(resolve(checkpoint))
    except WeightsError as error:
        raise WeightsError(f"{error} A universal perturbation is fitted by: {_RECIPE}") from error
    perturbation = weights.get("perturbation")
    if perturbation is None or perturbation.ndim != 4 or len(perturbation) != 1:
        raise WeightsError(
            f"{str(checkpoint)!r} must hold a 'perturbation' (1, C, H, W), got "
            f"{', '.join(list(weights)[:3])}. Fit one by: {_RECIPE}"
        )
    return perturbation.float().contiguous()
