"""What the tests of metrics share."""

import lpips
import pytest
import torch


@pytest.fixture
def random_backbone(monkeypatch):
    """LPIPS with its published linear weights over a random backbone: no file is needed."""
    published = lpips.LPIPS

    def build(net, verbose):
        torch.manual_seed(0)
        return published(net=net, verbose=verbose, pnet_rand=True)

    monkeypatch.setattr(lpips, "LPIPS", build)
