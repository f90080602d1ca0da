"""Frequency-tuned saliency: colour contrast to the image's mean, without network or weights."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.core.precision import without_autocast
from project.images.blur import gaussian_blur
from project.saliency.provider import Saliency, normalised

# Linear sRGB to XYZ (D65), each row divided by the white point, as in IEC 61966-2-1.
_RGB_TO_XYZ = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)


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


@without_autocast
def rgb_to_lab(images: Tensor) -> Tensor:
    """Convert sRGB in [0, 1] to CIE Lab under D65, (N, 3, H, W) each; L in [0, 100]."""
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055) ** 2.4, images / 12.92)
    xyz = torch.einsum("kc,nchw->nkhw", images.new_tensor(_RGB_TO_XYZ), linear)
    root = torch.where(xyz > 0.008856, xyz.clamp(min=1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = root.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
