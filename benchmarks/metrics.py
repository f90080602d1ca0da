"""The perceptual panel against a step of PGD, and each metric against public packages.

python benchmarks/metrics.py [--rounds 5] [--images 6] [--size 224] [--features 256] [--device cuda]

Every contestant is timed right after its reference (A B A C …): printed are the least, the median
and the greatest ratio of all rounds. Ours compare with clean images that were prepared before, as
an experiment does from the second attack on; ``anew`` prepares them too. A package that is not
installed is named and left out: ``pip install kornia pytorch-fid``. Backbones have random weights,
so this tells of speed and of nothing else. On a CPU the clock is the process's own time at one
thread.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import lpips
import timm
import torch
import torch.nn.functional as F
from timing import Work, interleaved, seconds, spread
from torch import Tensor, nn
from torchmetrics.functional import image as functional
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from project.core.errors import InputError
from project.evaluation.transfer import DEFAULT_METRICS
from project.metrics import (
    LPIPS,
    MSSSIM,
    SCC,
    SSIM,
    STLPIPS,
    UQI,
    PanelComparison,
    PerceptualMetric,
    VIFp,
    frechet_distance,
    paired_kernel_distance,
    perceptual_panel,
)
from project.metrics.learned import BACKBONE_URLS
from project.metrics.sliding_windows import eight_bit, in_parts

Pair = tuple[Tensor, Tensor]


class AsTheyAre(nn.Module):
    """Stands for a network: what it is given are features already."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, D) of (N, D, 1, 1)."""
        return images.flatten(1)


def pair(options: argparse.Namespace, device: torch.device) -> Pair:
    """Return smooth noise, and what is up to 8 grey levels from it."""
    noise = torch.rand(options.images, 3, options.size + 4, options.size + 4)
    levels = (F.avg_pool2d(noise, 5, 1) * 1000 - 370).clamp(0, 255).round()
    other = (levels + torch.randint(-8, 9, levels.shape)).clamp(0, 255)
    return (levels / 255).to(device), (other / 255).to(device)


def step(images: Tensor) -> Work:
    """Return a forward pass and the gradient of the input, on ResNet-18."""
    victim = timm.create_model("resnet18").to(images.device).eval().requires_grad_(False)
    target = torch.arange(len(images), device=images.device)

    def work() -> None:
        part = images.clone().requires_grad_()
        torch.autograd.grad(F.cross_entropy(victim(part), target), part)

    return work


def prepared(metric: PerceptualMetric[Any], images: Pair) -> Work:
    """Return the comparison with clean images that were prepared before."""
    clean, adversarial = (in_parts(eight_bit(side)) for side in images)
    sides = [metric.prepare(part) for part in clean]
    return lambda: [metric.compare(*both) for both in zip(sides, adversarial, strict=True)]


def lpips_package(net: str, images: Pair) -> Work:
    """Return the package's own distance."""
    network = lpips.LPIPS(net=net, verbose=False).to(images[0].device)
    return lambda: network(*images, normalize=True)


def stlpips_package(net: str, images: Pair) -> Work:
    """Return the package's own distance, where what it imports is installed too."""
    from stlpips_pytorch import stlpips  # noqa: PLC0415

    network = stlpips.LPIPS(net=net, variant="shift_tolerant", verbose=False)
    return lambda: network.to(images[0].device)(*images, normalize=True)


def kornia_ssim(images: Pair) -> Work:
    """Return kornia's map of SSIM, and its mean."""
    from kornia.metrics import ssim  # noqa: PLC0415

    return lambda: ssim(*images, 11, padding="valid").mean((1, 2, 3))


def torchmetrics(name: str, images: Pair) -> Work:
    """Return a functional metric of torchmetrics."""
    function = getattr(functional, name)
    known = {"data_range": 1.0} if name.endswith("index_measure") else {}
    return lambda: function(*reversed(images), **known)


PEERS: list[tuple[Callable[[], PerceptualMetric[Any]], str, Callable[[Pair], Work]]] = [
    (partial(LPIPS, "squeeze"), "lpips", partial(lpips_package, "squeeze")),
    (partial(LPIPS, "alex"), "lpips", partial(lpips_package, "alex")),
    (partial(LPIPS, "vgg"), "lpips", partial(lpips_package, "vgg")),
    (partial(STLPIPS, "alex"), "stlpips-pytorch", partial(stlpips_package, "alex")),
    (SSIM, "kornia", kornia_ssim),
    (SSIM, "torchmetrics", partial(torchmetrics, "structural_similarity_index_measure")),
    (
        MSSSIM,
        "torchmetrics",
        partial(torchmetrics, "multiscale_structural_similarity_index_measure"),
    ),
    (UQI, "torchmetrics", partial(torchmetrics, "universal_image_quality_index")),
    (SCC, "torchmetrics", partial(torchmetrics, "spatial_correlation_coefficient")),
    (VIFp, "torchmetrics", partial(torchmetrics, "visual_information_fidelity")),
]


def features(count: int, device: torch.device) -> Pair:
    """Return features of Inception's size, and others near them."""
    first = torch.rand(count, 2048, device=device)
    return first, (first + 0.1 * torch.randn_like(first)).clamp(min=0)


def torchmetrics_distance(kind: Callable[..., Any], both: Pair) -> Work:
    """Return the closing step of torchmetrics' FID, or of its KID on all images at once."""
    count, dimension = both[0].shape
    whole = {"subsets": 1, "subset_size": count} if kind is KernelInceptionDistance else {}
    metric = kind(AsTheyAre(dimension), normalize=True, **whole).to(both[0].device)
    for side, real in zip(both, (True, False), strict=True):
        metric.update(side.view(count, dimension, 1, 1), real=real)

    def work() -> object:
        metric._computed = None  # or it would remember
        return metric.compute()

    return work


def pytorch_fid(both: Pair) -> Work:
    """Return pytorch-fid's closing step."""
    import numpy as np  # noqa: PLC0415
    from pytorch_fid.fid_score import calculate_frechet_distance  # noqa: PLC0415

    first, second = (side.double().cpu().numpy() for side in both)
    return lambda: calculate_frechet_distance(
        first.mean(0), np.cov(first, rowvar=False), second.mean(0), np.cov(second, rowvar=False)
    )


DISTANCES: list[tuple[str, Callable[..., float], str, Callable[[Pair], Work]]] = [
    (
        "fid",
        frechet_distance,
        "torchmetrics",
        partial(torchmetrics_distance, FrechetInceptionDistance),
    ),
    ("fid", frechet_distance, "pytorch-fid", pytorch_fid),
    (
        "kid",
        paired_kernel_distance,
        "torchmetrics",
        partial(torchmetrics_distance, KernelInceptionDistance),
    ),
]


def ratios(works: dict[str, Work], reference: Work, options: argparse.Namespace, unit: str) -> None:
    """Print a line for each contestant."""
    pairs = interleaved(works, reference, options.rounds, torch.device(options.device))
    for name, found in pairs.items():
        print(f"{name:28}{spread([own / before for before, own in found], 4)} × {unit}")


def against(
    name: str, own: Work, package: str, peer: Callable[[], Work], options: argparse.Namespace
) -> None:
    """Print what one of ours costs against a package, if that is there."""
    try:
        reference = peer()
    except ImportError as error:
        print(f"{package} is left out: {error}")
        return
    ratios({name: own}, reference, options, package)


def panel(images: Pair, options: argparse.Namespace) -> None:
    """Print what the default panel costs against a step of PGD on as many images."""
    learned = [LPIPS(net) for net in BACKBONE_URLS if f"lpips_{net}" in DEFAULT_METRICS]
    plain = [name for name in DEFAULT_METRICS if not name.startswith("lpips")]
    metrics = [*learned, *perceptual_panel(plain)[0]]  # which asks for no weight files
    print("The default panel")
    index = torch.arange(len(images[0]))
    works: dict[str, Work] = {
        "panel": partial(PanelComparison(metrics, 2**40), *images, index),
        "panel, anew": partial(PanelComparison(metrics, 0), *images, index),
    }
    works |= {f"  {metric.name}": prepared(metric, images) for metric in metrics}
    ratios(works, torch.enable_grad()(step(images[1])), options, "step")


def milliseconds(images: Pair, options: argparse.Namespace) -> None:
    """Print what the default panel without its networks takes per image, clean side kept or not."""
    plain = [name for name in DEFAULT_METRICS if not name.startswith("lpips")]
    print("\nThe default panel without LPIPS, and its parts by themselves, ms per image")
    device, index = images[0].device, torch.arange(len(images[0]))
    works: dict[str, Work] = {}
    for name in ("panel", *plain):
        metrics = perceptual_panel(plain if name == "panel" else [name])[0]
        for kept, memory in (("anew", 0), ("kept", 2**40)):
            works[f"{name}, {kept}"] = partial(PanelComparison(metrics, memory), *images, index)
    for work in works.values():
        work()
    for name, work in works.items():
        taken = [seconds(work, device) / len(index) * 1000 for _ in range(options.rounds)]
        print(f"{name:28}{spread(taken, 2)}")


@torch.no_grad()
def main() -> None:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lpips.LPIPS = partial(lpips.LPIPS, pnet_rand=True)  # no weight file is needed
    device = torch.device(options.device)
    images = pair(options, device)
    panel(images, options)
    milliseconds(images, options)
    print("\nMetrics")
    for make, package, peer in PEERS:
        try:
            metric = make()
        except InputError as error:
            print(f"{package} is left out: {error}")
            continue
        against(metric.name, prepared(metric, images), package, partial(peer, images), options)
    print(f"\nThe closing step over {options.features} images")
    both = features(options.features, device)
    for name, distance, package, peer in DISTANCES:
        against(name, partial(distance, *both), package, partial(peer, both), options)


if __name__ == "__main__":
    main()
