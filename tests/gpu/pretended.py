"""A GPU that is pretended: where tensors are is told apart, and the CPU computes all the same.

Within ``pretended_gpu()`` a tensor is on the device ``GPU`` once it was moved or made there. Its
numbers are ordinary ones, so that results must be those of the CPU bit for bit, and what a GPU
would refuse is refused: tensors of two devices in one operation, numpy's view of a tensor that is
not on the host, a generator of another device. What a GPU computes in its own way is not seen.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")
_FOREIGN_INDEX = {"__getitem__", "__setitem__", "index_put_", "index_put", "index"}
_COPIES = {"copy_", "set_data", "__set__", "_has_compatible_shallow_copy_type"}
_LEAVES = {"numpy", "__array__"}
_ON_HOST = {"tolist", "item", "__bool__", "__len__", "__repr__", "__format__", "__str__"}


@contextmanager
def pretended_gpu() -> Iterator[torch.device]:
    """Pretend that there is a GPU, for this thread."""
    with ExitStack() as patches:
        for name in ("autocast", "is_autocast_enabled", "get_autocast_dtype"):
            patches.enter_context(mock.patch.object(torch, name, _of_the_cpu(getattr(torch, name))))
        named = mock.patch.object(torch.cuda, "get_device_name", return_value="pretended")
        patches.enter_context(named)
        patches.enter_context(_Places())
        yield GPU


def _of_the_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of a kind of device that takes the CPU in the place of the GPU."""
    return lambda kind, *more, **named: function("cpu" if kind == "cuda" else kind, *more, **named)


class _Places(TorchFunctionMode):
    """Knows the memory that is on the pretended GPU."""

    _there: ClassVar[set[int]] = set()  # of all such contexts, as functions may cache tensors

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a function where its tensors are, or refuse it."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        owner = getattr(getattr(func, "__self__", None), "__name__", "")
        if name == "__get__" and owner in ("device", "is_cuda", "is_cpu"):
            place = self.place(args[0])
            return {"device": place, "is_cuda": place == GPU, "is_cpu": place == CPU}[owner]
        if name == "get_device":
            return 0 if self.place(args[0]) == GPU else -1
        if name == "pin_memory":
            return args[0].clone()
        if name in ("to", "cuda", "cpu", "type"):
            return self._moved(func, name, args, kwargs)
        wanted, kwargs = _wanted(kwargs)
        self._check(name, args, kwargs, wanted)
        made = func(*args, **kwargs)
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = wanted == GPU or (wanted is None and any(self.place(x) == GPU for x in inputs))
        if there and not _changes_its_own(name):
            self._put(made)
        return made

    def place(self, tensor: Tensor) -> torch.device:
        """Return where a tensor is."""
        with torch._C.DisableTorchFunction():
            if tensor.layout != torch.strided:
                return CPU
            return GPU if tensor.untyped_storage()._cdata in self._there else tensor.device

    def _put(self, made: Any) -> None:
        with torch._C.DisableTorchFunction():
            for leaf in tree_leaves(made):
                if isinstance(leaf, Tensor) and leaf.layout == torch.strided:
                    storage = leaf.untyped_storage()
                    if storage._cdata not in self._there:
                        self._there.add(storage._cdata)
                        end = weakref.finalize(storage, self._there.discard, storage._cdata)
                        end.atexit = False

    def _moved(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Copy to a place, or change only the type."""
        tensor, rest = args[0], list(args[1:])
        before = after = self.place(tensor)
        if name in ("cuda", "cpu"):
            after, rest = (GPU if name == "cuda" else CPU), []
        for number, value in enumerate(rest):
            if isinstance(value, torch.device | str) and name == "to":
                after, rest[number] = torch.device(value), CPU
            elif isinstance(value, Tensor):
                after = self.place(value)
        wanted, kwargs = _wanted(kwargs)
        after = GPU if (wanted or after).type == "cuda" else (wanted or after)
        if name in ("cuda", "cpu"):
            made = tensor.clone() if before != after else tensor
        else:
            made = func(tensor, *rest, **kwargs)
            if before != after:
                with torch._C.DisableTorchFunction():
                    same = made.untyped_storage()._cdata == tensor.untyped_storage()._cdata
                made = made.clone() if same else made
        if after == GPU:
            self._put(made)
        return made

    def _check(self, name: str, args: Any, kwargs: Any, wanted: torch.device | None) -> None:
        """Refuse what a GPU refuses."""
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        places = {self.place(one) for one in tensors if one.ndim or self.place(one) == GPU}
        if name in _LEAVES and GPU in places:
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        generator = kwargs.get("generator")
        if generator is not None and (wanted == GPU or GPU in places):
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        if len(places) < 2 or name in _COPIES or name in _ON_HOST:
            return
        if name in _FOREIGN_INDEX and self.place(args[0]) == GPU:
            return  # places on the host are copied, and so are values that fill a slice
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, cuda:0 "
            f"and cpu! (when calling {name})"
        )


def _changes_its_own(name: str) -> bool:
    """Return whether a function writes into its first tensor, which stays where it is."""
    return name in ("__set__", "__setitem__") or (name[-1:] == "_" and not name.startswith("__"))


def _wanted(kwargs: dict[str, Any]) -> tuple[torch.device | None, dict[str, Any]]:
    """Return the device that is asked for, and the arguments for one that is there."""
    if kwargs.get("device") is None:
        return None, kwargs
    wanted = torch.device(kwargs["device"])
    if wanted.type != "cuda":
        return wanted, kwargs
    return GPU, kwargs | {"device": CPU}
