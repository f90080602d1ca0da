"""BatchNorm statistics for published weights in which they were folded into the convolutions."""

from __future__ import annotations

from itertools import islice

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from project.training.victim_training import VictimTraining


class UnfoldBatchNorm(Callback):
    """Give folded BatchNorm layers the statistics of the training data before the first step.

    Files made for inference often fold BatchNorm away: mean 0, variance 1, and the convolution
    before it rescaled. Such a network is right in eval mode, but its first step in train mode
    normalises by the batch, which the weights never saw, and the pretraining is lost. With the
    measured mean m and variance v of a layer's input, running mean m, running variance v, weight
    w·sqrt(v + eps) and bias b + w·m compute the same in eval mode and start train mode close to it.

    Source: algebra of Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1 [ours].

    Args:
        module: dotted name, inside the victim, of the part to unfold; the layers in it that hold
            other statistics than mean 0 and variance 1 are left alone.
        batches: number of training batches to measure on.
    """

    def __init__(self, module: str = "network.encoder", batches: int = 8) -> None:
        self.module = module
        self.batches = batches

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Unfold before the module is distributed, so that all ranks then get rank 0's layers."""
        if stage != "fit" or not isinstance(pl_module, VictimTraining):
            return
        loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        images = [batch["image"] for batch in islice(loader, self.batches)]
        unfold(pl_module.victim, pl_module.victim.get_submodule(self.module), images)


def unfold(network: nn.Module, part: nn.Module, images: list[Tensor]) -> None:
    """Measure the folded layers of ``part`` while ``network`` sees the images, and unfold them.

    Args:
        network: left in the mode it had.
        part: the submodule whose layers are unfolded.
        images: batches (N, 3, H, W) in [0, 1].
    """
    layers = [layer for layer in part.modules() if _is_folded(layer)]
    inputs: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}

    def measure(layer: nn.Module, arguments: tuple[Tensor]) -> None:
        pixels = arguments[0].transpose(0, 1).flatten(1)
        inputs[layer].append(torch.stack([pixels.mean(1), pixels.square().mean(1)]))

    handles = [layer.register_forward_pre_hook(measure) for layer in layers]
    training = network.training
    network.eval()
    with torch.no_grad():
        for batch in images:
            network(batch)
        for layer in layers:
            mean, square = torch.stack(inputs[layer]).mean(0)
            _set_statistics(layer, mean, (square - mean.square()).clamp(min=0))
    for handle in handles:
        handle.remove()
    network.train(training)


def _is_folded(layer: nn.Module) -> bool:
    return (
        isinstance(layer, _BatchNorm)
        and layer.affine
        and layer.running_mean is not None
        and layer.running_var is not None
        and bool((layer.running_mean == 0).all() and (layer.running_var == 1).all())
    )


def _set_statistics(layer: nn.Module, mean: Tensor, variance: Tensor) -> None:
    assert isinstance(layer, _BatchNorm)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    scale = layer.weight / (layer.running_var + layer.eps).sqrt()
    layer.bias.copy_(layer.bias + scale * (mean - layer.running_mean))
    layer.weight.copy_(scale * (variance + layer.eps).sqrt())
    layer.running_mean.copy_(mean)
    layer.running_var.copy_(variance)
