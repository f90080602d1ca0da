"""Frequency-tuned saliency: colour contrast to the image's mean, without network or weights."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.images.blur import gaussian_blur
from project.images.colour import rgb_to_lab
from project.saliency.provider import Saliency, normalised


@dataclass(frozen=True)
class FrequencyTuned(Saliency):
    r"""Distance between an image's mean colour and each smoothed pixel, in CIE Lab.

    $$S(p) = \| I_\mu - I_G(p) \|$$, stretched to [0, 1] for each image.

    Source: Achanta et al., "Frequency-tuned Salient Region Detection", CVPR 2009, eq. (4) [paper].
    """

    sigma: float = 1.1
    """Standard deviation σ of the smoothing, in pixels; 1.1 is close to the paper's 5×5 binomial
    kernel."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1] of images (N, 3, H, W) in [0, 1].

        Images are processed one by one: in a batch the last bits of a map would depend on its batch
        mates.
        """
        return torch.cat([self._map(image[None]) for image in images])

    def _map(self, images: Tensor) -> Tensor:
        lab = rgb_to_lab(images)
        distance = lab.mean((2, 3), keepdim=True) - gaussian_blur(lab, self.sigma)
        return normalised(torch.linalg.vector_norm(distance, dim=1, keepdim=True))
