"""TRACER's attention against its formulas, image by image in numpy.

The published network's stored maps cannot see these: with their weights α and the sigmoids are all
but 0 or 1.
"""

import numpy as np
import torch
from scipy.special import expit, softmax
from torch import nn

from project.saliency.tracer.attention import ObjectAttention, UnionAttention


def randomised(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                drawn = torch.rand(value.shape, generator=generator)
                value.copy_(drawn + 0.5 if name.endswith("var") else drawn - 0.4)
    return module.double().eval()


def batch_norm(norm: nn.BatchNorm2d, values):
    weight, bias, mean, var = (
        value.detach().numpy().reshape(-1, 1, 1)
        for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    return (values - mean) / np.sqrt(var + norm.eps) * weight + bias


def matrix(conv: nn.Conv2d):
    return conv.weight.detach().numpy()[:, :, 0, 0]


def test_union_attention_is_its_formula():
    # With 41 channels the quantile is the fifth smallest α itself: it is unreliable too.
    module = randomised(UnionAttention(41))
    features = torch.randn(2, 41, 5, 7, generator=torch.Generator().manual_seed(1)).double()
    found = module(features).detach().numpy()
    for image, map_ in zip(features.numpy(), found, strict=True):
        pooled = batch_norm(module.norm[0], image.mean((1, 2)).reshape(-1, 1, 1))[:, :, 0]
        projections = (module.channel_q, module.channel_k, module.channel_v)
        q, k, v = (matrix(projection) @ pooled for projection in projections)
        alpha = expit(matrix(module.fc) @ (softmax(q @ k.T, axis=1) @ v))[:, 0]
        order = np.argsort(alpha)
        reliable = batch_norm(module.bn, image * (1 + alpha[:, None, None]))
        reliable *= alpha[:, None, None]
        reliable[order[:5]] = 0
        q, k, v = (
            np.einsum("oc,chw->hw", matrix(c), reliable)
            for c in (module.spatial_q, module.spatial_k, module.spatial_v)
        )
        np.testing.assert_allclose(map_[0], softmax(q @ k.T, axis=1) @ v + v, atol=1e-9)


def test_object_attention_takes_the_object_and_its_doubtful_surroundings():
    module = randomised(ObjectAttention(8))
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 8, 6, 6, generator=generator).double()
    # Backgrounds of 0.90, 0.92, 0.94, 0.96 and less sure ones.
    inside = torch.tensor([0.10, 0.08, 0.06, 0.04, 0.5, 0.99]).double().expand(2, 1, 6, 6)
    around = torch.tensor([0.90, 0.92, 0.0, 0.0, 0.5, 0.01]).double().expand(2, 1, 6, 6)
    refined = module.refine(features * (inside + around))
    expected = inside.logit() + module.conv1(refined).relu()
    torch.testing.assert_close(module(inside.logit(), features), expected)


def test_refinement_adds_four_branches_to_their_base():
    module = randomised(ObjectAttention(8))
    features = torch.randn(1, 8, 6, 6, generator=torch.Generator().manual_seed(1)).double()
    base = module.DWSConv(features)
    branches = [getattr(module, f"DWConv{number}")(base) for number in (1, 2, 3, 4)]
    torch.testing.assert_close(module.refine(features), base + torch.cat(branches, 1))
    reach = [
        branch[0].DWConv.dilation[0] * (branch[0].DWConv.kernel_size[0] // 2)
        for branch in (module.DWConv1, module.DWConv2, module.DWConv3, module.DWConv4)
    ]
    assert reach == [0, 1, 3, 5]


def test_training_drops_channels_of_the_pooled_features_one_by_one():
    module = randomised(UnionAttention(400)).train()
    module.norm[0].eval()
    pooled = torch.ones(2, 400, 1, 1).double()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = (module.norm(pooled) / module.norm[0](pooled) > 0).double().mean(1).flatten()
    assert ((kept > 0.8) & (kept < 0.98)).all()
