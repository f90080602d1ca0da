"""Victim-gradient saliency: the size of the loss's gradient at each pixel."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.core.logits import logits_of
from project.core.losses import cross_entropy, mean_over_valid, valid_elements
from project.images.blur import gaussian_blur
from project.saliency.provider import Scene, SceneSaliency, normalised


@dataclass(frozen=True)
class VictimGradient(SceneSaliency):
    r"""Size of the loss's gradient at each pixel, smoothed: $$\max_c |\partial CE/\partial x_c|$$.

    Source: Simonyan et al., "Deep Inside Convolutional Networks", ICLR workshop 2014, section 3
    (there of the class score) [paper]; the smoothing [ours].
    """

    sigma: float = 3.0
    """Standard deviation σ of the smoothing, in pixels."""

    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1]."""
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            losses = cross_entropy(logits_of(scene.victim(images)), scene.target)
            loss = mean_over_valid(losses, valid_elements(scene.target)).sum()
            (gradient,) = torch.autograd.grad(loss, images)
        return normalised(gaussian_blur(gradient.abs().amax(1, keepdim=True), self.sigma))
