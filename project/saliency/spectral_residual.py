"""Spectral-residual saliency: the unexpected part of the spectrum, without network or weights."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.errors import InputError
from project.images.blur import gaussian_blur
from project.saliency.provider import Saliency, normalised

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_LEAST = 1e-12  # smallest amplitude: the logarithm of 0 is not finite


@dataclass(frozen=True)
class SpectralResidual(Saliency):
    r"""Inverse Fourier transform of the log spectrum's residual, its deviation from a local mean.

    With amplitude A and phase P of the small grey image, $$R = \log A - h_3 * \log A$$ and
    $$S = g_\sigma * |F^{-1}[\exp(R + iP)]|^2$$, h₃ the mean over 3×3, stretched to [0, 1] for each
    image. An image of one colour has a map of 0.

    Source: Hou & Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007, eqs. (9) to
    (14) [paper]. σ is 8 in its text and 2.5 in its published code; the code's is the default, since
    8 of 64 pixels leave but one blob [code]; grey by BT.601, and 0 beyond the border [code].
    """

    size: int = 64
    """Longer side in pixels to which larger images are shrunk first: objects of the usual size are
    unexpected at this scale [paper]."""
    sigma: float = 2.5
    """Standard deviation σ of the smoothing, in pixels of the small image."""

    def __post_init__(self) -> None:
        if self.size < 3 or self.sigma <= 0:
            raise InputError(
                "size must be at least 3 and sigma above 0, got "
                f"size {self.size} and sigma {self.sigma}."
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1] of images (N, 3, H, W) in [0, 1].

        Images are processed one by one: in a batch the last bits of a map would depend on its batch
        mates.
        """
        return torch.cat([self._map(image[None]) for image in images])

    def _map(self, images: Tensor) -> Tensor:
        grey = (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        spectrum = torch.fft.fft2(self._shrunk(grey))
        log_amplitude = spectrum.abs().clamp(min=_LEAST).log()
        residual = log_amplitude - _mean3(log_amplitude)
        unexpected = torch.fft.ifft2(torch.polar(residual.exp(), spectrum.angle())).abs() ** 2
        smooth = self._smoothed(unexpected)
        maps = F.interpolate(smooth, images.shape[2:], mode="bilinear")
        flat = grey.amax((1, 2, 3), keepdim=True) == grey.amin((1, 2, 3), keepdim=True)
        return normalised(maps).masked_fill(flat, 0)

    def _shrunk(self, grey: Tensor) -> Tensor:
        height, width = grey.shape[2:]
        scale = self.size / max(height, width)
        if scale >= 1:
            return grey
        size = (max(1, round(scale * height)), max(1, round(scale * width)))
        return F.interpolate(grey, size, mode="bicubic", antialias=True)

    def _smoothed(self, maps: Tensor) -> Tensor:
        """Convolve with the Gaussian, with 0 beyond the border.

        The Fourier transform treats images as periodic, so their border is unexpected, and would
        weigh even more if it was repeated.
        """
        border = math.ceil(3 * self.sigma)
        return gaussian_blur(F.pad(maps, [border] * 4), self.sigma)[
            ..., border:-border, border:-border
        ]


def _mean3(values: Tensor) -> Tensor:
    """Average over 3×3, borders repeated."""
    return F.avg_pool2d(F.pad(values, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
