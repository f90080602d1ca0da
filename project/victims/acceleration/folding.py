"""Folding BatchNorms into the convolutions before them."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_CONVOLUTIONS = (nn.Conv2d.forward, Conv2dSame.forward)
_NORMS = (nn.BatchNorm2d.forward, BatchNormAct2d.forward)


def fold(
    network: nn.Module, arguments: Sequence[Any], named: Mapping[str, Any] | None = None
) -> int:
    r"""Fold each BatchNorm into the convolution before it, whose output nothing else may use.

    $$w' = w \cdot \gamma / \sqrt{v + \epsilon}$$ and
    $$b' = (b - m) \cdot \gamma / \sqrt{v + \epsilon} + \beta$$, per output channel, in float64
    and then rounded. The BatchNorm is replaced by its activation, or an identity, so every other
    layer keeps its name; the output of the convolution is now what the BatchNorm's was.

    In eval mode a BatchNorm is an affine map of each channel, so folding is exact up to rounding.
    It is refused where it would not be: where a layer runs more than once, where something else
    uses the convolution's output, where weights are standardised, or statistics are the batch's.

    Source: algebra of Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1 [paper].

    Args:
        network: in eval mode; changed.
        arguments: arguments of one forward pass, in which the uses of all outputs are counted.
        named: its arguments that are given by name.

    Returns:
        The number of BatchNorms folded.
    """
    pairs = _pairs(network, arguments, named or {})
    for norm, convolution in pairs.items():
        _absorb(convolution, norm)
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if module in pairs:
            assert isinstance(module, nn.BatchNorm2d)
            network.set_submodule(name, _remainder(module))
    return len(pairs)


class _Uses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts how many operations take each tensor or a view of it, inside modules or between."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[int] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, Tensor):
                self.counts[_memory(value)] += 1
        return func(*args, **(kwargs or {}))


def _pairs(
    network: nn.Module, arguments: Sequence[Any], named: Mapping[str, Any]
) -> dict[nn.BatchNorm2d, nn.Conv2d]:
    """Return each BatchNorm that can be folded, with its convolution."""
    uses = _Uses()
    calls: Counter[nn.Module] = Counter()
    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # kept, so that no memory is used again
    found: dict[nn.BatchNorm2d, tuple[nn.Conv2d, Tensor]] = {}

    def made(module: nn.Conv2d, inputs: Any, output: Tensor) -> None:
        calls[module] += 1
        uses.counts[_memory(output)] = 0  # memory may be reused: count from here on
        outputs[_memory(output)] = module, output

    def taken(module: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        calls[module] += 1
        maker = outputs.get(_memory(inputs[0])) if inputs else None
        if maker is not None:
            found[module] = maker

    with _hooked(network, made, taken), torch.no_grad(), uses:
        network(*arguments, **named)
    return {
        norm: convolution
        for norm, (convolution, output) in found.items()
        # One run each, and the one use of the output is the BatchNorm's own.
        if calls[norm] == calls[convolution] == 1 == uses.counts[_memory(output)]
    }


@contextmanager
def _hooked(network: nn.Module, made: Any, taken: Any) -> Iterator[None]:
    """Call ``made`` after each convolution, ``taken`` before each BatchNorm that may be folded."""
    modules = list(network.modules())
    handles = [part.register_forward_hook(made) for part in modules if _is_convolution(part)]
    handles += [part.register_forward_pre_hook(taken) for part in modules if _is_norm(part)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_convolution(module: nn.Module) -> bool:
    """Return whether a layer is a convolution by its own parameter (not a standardised weight)."""
    known = isinstance(module, nn.Conv2d) and type(module).forward in _CONVOLUTIONS
    return known and "weight" in module._parameters and not _watched(module)


def _is_norm(module: nn.Module) -> bool:
    """Return whether a layer is a BatchNorm by fixed statistics."""
    known = isinstance(module, nn.BatchNorm2d) and type(module).forward in _NORMS
    return known and module.running_mean is not None and not _watched(module)


def _watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _absorb(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, variance = _wide(norm.running_mean), _wide(norm.running_var)
    scale = _wide(norm.weight, 1.0) / (variance + norm.eps).sqrt()
    weight = _wide(convolution.weight) * scale.view(-1, 1, 1, 1)
    bias = (_wide(convolution.bias, 0.0) - mean) * scale + _wide(norm.bias, 0.0)
    like = convolution.weight
    convolution.weight = nn.Parameter(weight.to(like), requires_grad=False)
    convolution.bias = nn.Parameter(bias.to(like), requires_grad=False)


def _wide(value: Tensor | None, default: float = 0.0) -> Tensor:
    """Return values in float64, on the CPU since not every device supports it."""
    return torch.tensor(default).double() if value is None else value.detach().cpu().double()


def _remainder(norm: nn.BatchNorm2d) -> nn.Module:
    """Return the rest of a folded BatchNorm, its dropout and activation, under the same names."""
    if isinstance(norm, BatchNormAct2d):
        return nn.Sequential(OrderedDict(drop=norm.drop, act=norm.act)).eval()
    return nn.Identity().eval()


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
