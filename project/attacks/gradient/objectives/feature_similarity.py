"""Objective of FSPGD: similarity of inner features."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from project.attacks.gradient.objectives.objective import Objective, Step
from project.core.errors import InputError
from project.core.losses import mean_over_valid


@dataclass(frozen=True)
class FeatureSimilarity(Objective):
    r"""Lower the features' similarity to the clean ones, and to each other where it was high.

    $$-\lambda_t \frac{1}{M} \sum_i \langle f_i, c_i \rangle - \frac{1-\lambda_t}{2|W|}
    \sum_{(i,j) \in W} \langle f_i, f_j \rangle,\quad \lambda_t = \frac{t-1}{T}$$, f and c the
    adversarial and the clean features at the M places of a layer's map, as unit vectors, and W the
    pairs of different places whose clean features are similar, $$\langle c_i, c_j \rangle > \tau$$.
    The first steps lower the similarity within the image (the internal one), the last ones that to
    the clean features (the external one). Labels are not used, so a classifier can be attacked
    likewise, but there is no targeted form. A place under void pixels alone does not count [ours].

    Source: Park et al., "FSPGD: Rethinking Black-box Attacks on Semantic Segmentation", CVPR
    2025, arXiv 2502.01262; the formula, t from 0 to T − 1 in λ, and the factor ½ [code]; there W is
    counted over the batch, here for each image.
    """

    stationary = False

    layer: str = "network.encoder[-2]"
    """Layer whose output gives the features: a submodule's dotted name, and in brackets which
    output where there are several. The default is the last but one stage of smp's encoders [ours];
    memory grows with the square of the map's places."""
    threshold: float = 0.5
    """Threshold τ of the cosine above which clean features are similar, cos(π/3) as in the code."""

    def __post_init__(self) -> None:
        if not -1 <= self.threshold < 1:
            raise InputError(
                f"threshold is a cosine and must lie in [-1, 1), got {self.threshold}."
            )

    def __call__(self, step: Step) -> Tensor:
        """Return the negated similarities, (N,)."""
        features, clean = _features(step)
        counted = _counted(step, features)
        features = F.normalize(features.flatten(2), dim=1)
        clean = F.normalize(clean.flatten(2), dim=1)
        external = mean_over_valid((features * clean).sum(1), counted)
        internal = self._internal(features, clean, counted)
        share = (step.number - 1) / step.total
        return -share * external - (1 - share) * internal

    def _internal(self, features: Tensor, clean: Tensor, counted: Tensor) -> Tensor:
        """Return half the mean similarity of the pairs in W, (N,); 0 if there is no pair."""
        similar = (clean.mT @ clean > self.threshold) & counted[:, None] & counted[:, :, None]
        similar.diagonal(dim1=1, dim2=2).fill_(False)
        pairs = similar.sum((1, 2)).clamp(min=1)
        total = (features @ similar.to(features.dtype) * features).sum((1, 2))
        return total / (2 * pairs)


def _features(step: Step) -> tuple[Tensor, Tensor]:
    if step.targeted:
        raise InputError(
            "FeatureSimilarity looks at no labels and cannot be aimed at any: use it untargeted, "
            "or take another objective."
        )
    if step.features is None or step.clean_features is None:
        raise InputError(
            "FeatureSimilarity needs an attack that looks at the victim's layers, such as PGD."
        )
    return step.features, step.clean_features()


def _counted(step: Step, features: Tensor) -> Tensor:
    """Return which places of the map, (N, h·w), have any valid pixel under them."""
    if step.valid.ndim == 1:
        return step.valid[:, None].expand(-1, features[0, 0].numel())
    covered = F.adaptive_max_pool2d(step.valid[:, None].float(), features.shape[2:])
    return covered.flatten(1) > 0
