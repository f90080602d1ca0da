"""timm's names of EfficientNet's weights, and the encoder's."""

from __future__ import annotations

from torch import Tensor

_SQUEEZE = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_PLAIN = {
    "conv_dw": "_depthwise_conv",
    "bn1": "_bn1",
    "conv_pw": "_project_conv",
    "bn2": "_bn2",
    **_SQUEEZE,
}
_EXPANDING = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
    **_SQUEEZE,
}


def from_timm(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of timm's ``tf_efficientnet_b*`` to the encoder's; the head falls away."""
    renamed: dict[str, Tensor] = {}
    places: dict[str, int] = {}
    for name, value in weights.items():
        parts = name.split(".")
        if parts[0] in ("conv_stem", "bn1"):
            parts[0] = {"conv_stem": "_conv_stem", "bn1": "_bn0"}[parts[0]]
            renamed[".".join(parts)] = value
        elif parts[0] == "blocks":
            block = ".".join(parts[:3])
            place = places.setdefault(block, len(places))
            names = _EXPANDING if f"{block}.conv_pwl.weight" in weights else _PLAIN
            inner = names[".".join(parts[3:-1])]
            renamed[f"_blocks.{place}.{inner}.{parts[-1]}"] = value
    return renamed
