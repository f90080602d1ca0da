"""A tiny vision transformer for tests."""

import timm
import torch
from torch import nn

DEPTH, HEADS, WIDTH, PATCH, CLASSES = 3, 2, 8, 4, 4


def transformer(size: tuple[int, int], seed: int = 0, classes: int = CLASSES) -> nn.Module:
    """Return a small ViT of timm; its weights are larger than at first, so that it is curved."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = timm.create_model(
            "test_vit",
            img_size=size,
            patch_size=PATCH,
            depth=DEPTH,
            num_heads=HEADS,
            embed_dim=WIDTH,
            num_classes=classes,
        )
        for weight in network.parameters():
            nn.init.normal_(weight, std=0.4)
    return network.eval()
