"""CIEDE2000, the colour difference that colour science settled on, averaged over an image.

Convention
    images   (N, 3, H, W) sRGB in [0, 1]; rounded to k/255 before anything is computed
    Lab      (N, 3, H, W) float32, 2° observer, white D65
    values   (N,) float64, one per image, on the images' device; 0 for identical images
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from project.images.colour import rgb_to_lab
from project.metrics.perceptual_metric import PerceptualMetric

_TURN = 2 * math.pi


class CIEDE2000(PerceptualMetric[Tensor]):
    """Mean colour difference ΔE00 of an image's pixels; about 1 is just noticeable in large fields.

    It knows colours and no places: a pixel's difference counts alike in a flat sky and in a
    texture. Of sRGB under D65, with the weights k_L = k_C = k_H = 1.

    Source: Luo, Cui, Rigg, "The development of the CIE 2000 colour-difference formula: CIEDE2000",
    Color Research and Application 26(5), 2001 [paper]. As a measure of adversarial images: Zhao,
    Liu, Larson, "Towards large yet imperceptible adversarial image perturbations with perceptual
    color distance", CVPR 2020, which takes the length of the pixels' differences instead of their
    mean; the mean [ours], since it compares between sizes.
    """

    name = "ciede2000"
    smallest = 1

    def prepare(self, clean: Tensor) -> Tensor:
        """Return clean grey levels in Lab."""
        return rgb_to_lab(clean / 255)

    def compare(self, side: Tensor, adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,), at least 0."""
        return ciede2000(side, self.prepare(adversarial)).flatten(1).mean(1, dtype=torch.float64)


def ciede2000(first: Tensor, second: Tensor) -> Tensor:
    r"""Return the CIEDE2000 colour difference ΔE00, pixel by pixel.

    $$\sqrt{l^2 + c^2 + h^2 + R_T c h}$$ of the differences in lightness, chroma and hue, each
    divided by a weight that says how well eyes tell them apart there; R_T couples chroma and hue
    in the blues.

    Source: Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations", Color Research and Application 30(1),
    2005, eqs. (2)–(22) [paper].

    Args:
        first: Lab, (N, 3, …).
        second: likewise.

    Returns:
        (N, …), at least 0; the same whichever comes first.
    """
    (light1, a1, b1), (light2, a2, b2) = first.unbind(1), second.unbind(1)
    # Greys spread along a: a' = (1 + G) a, G from 0.5 for greys to 0 for saturated colours.
    stretch = 1.5 - 0.5 * _saturation((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2)
    a1, a2 = a1 * stretch, a2 * stretch
    chroma1, chroma2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    hue1 = torch.atan2(b1, a1)
    turn = torch.atan2(b2, a2).sub_(hue1)
    turn.sub_((turn / _TURN).round_(), alpha=_TURN)  # the shorter way round

    # Where a colour is grey its hue is none: then the product below is 0, whatever the angles.
    hue_difference = (chroma1 * chroma2).sqrt_() * torch.sin(turn / 2) * 2
    chroma, hue = (chroma1 + chroma2) / 2, turn.div_(2).add_(hue1)
    from_middle = ((light1 + light2) / 2 - 50).square_()
    in_light = (light2 - light1) / (from_middle * 0.015 / (from_middle + 20).sqrt_()).add_(1)
    in_chroma = (chroma2 - chroma1) / (chroma * 0.045 + 1)
    in_hue = hue_difference / (chroma * _hue_weight(hue)).mul_(0.015).add_(1)
    coupled = _rotation(chroma, hue) * in_chroma * in_hue
    squared = in_light.square_() + in_chroma.square() + in_hue.square() + coupled
    return squared.clamp_(min=0).sqrt_()  # rounding may leave less than 0


def _saturation(chroma: Tensor) -> Tensor:
    """Return sqrt(C⁷ / (C⁷ + 25⁷)): 0 for greys, towards 1 for saturated colours."""
    seventh = (chroma / 25) ** 7
    return (seventh / (seventh + 1)).sqrt_()


def _hue_weight(hue: Tensor) -> Tensor:
    """Return T, how much a difference in hue counts less at a hue in radians."""
    weight = torch.cos(hue - math.radians(30)).mul_(-0.17).add_(1)
    weight.add_(torch.cos(2 * hue), alpha=0.24)
    weight.add_(torch.cos(3 * hue + math.radians(6)), alpha=0.32)
    return weight.sub_(torch.cos(4 * hue - math.radians(63)), alpha=0.2)


def _rotation(chroma: Tensor, hue: Tensor) -> Tensor:
    """Return R_T, which couples chroma and hue around a hue of 275°, the blues."""
    degrees = torch.remainder(torch.rad2deg(hue), 360)
    angle = torch.exp(-((degrees - 275) / 25).square_()).mul_(math.radians(60))
    return torch.sin(angle).mul_(_saturation(chroma)).mul_(-2)
