"""Base class of attacks with the guarantees that all share; frozen victims, presets."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeVar

import torch
from torch import Tensor, nn

from project.attacks.core.query import fooled_share, labels_up_to, query
from project.attacks.core.result import AttackResult, Perturbed, joined, parts, require_sound
from project.core.errors import InputError
from project.core.fields import CheckedFields
from project.core.identity import describe, digest
from project.core.losses import valid_elements
from project.core.samples import Samples

Kind = Literal["gradient", "black_box", "flow", "ensemble", "other"]
Traits = dict[str, str | float | int]
Settings = TypeVar("Settings")


class Attack(CheckedFields, ABC):
    """Base class of attacks, which turn a victim, images and targets into adversarial images.

    An attack is a frozen dataclass: its fields are its settings, ``repr`` shows them, and all its
    other parts are derived from them when it runs, so that settings and parts cannot disagree.

    Whatever the method, the base class sees to it that images are checked; that the victim is
    frozen, in eval mode, and afterwards as it was before; that it works inside
    ``torch.inference_mode``. A method's ``perturb`` returns detached images of 8-bit values inside
    its threat model, and never reduces over the batch: an image's result does not depend on its
    batch mates. The contract test holds every public attack to that.

    Attributes:
        kind: how it searches: along gradients of noise, by queries only (black box), along
            gradients of a flow, by several attacks (ensemble), or otherwise.
        budget_fields: names of the fields in the budget's unit, which scale with it.
        targeted: whether the victim shall predict the target; else anything but the target.
        seed: seed from which all random draws derive.
    """

    kind: ClassVar[Kind] = "other"
    budget_fields: ClassVar[tuple[str, ...]] = ()
    targeted: bool = False
    seed: int = 0

    def __call__(
        self,
        victim: nn.Module,
        images: Tensor,
        target: Tensor,
        index: Tensor | None = None,
        max_batch: int | None = None,
    ) -> Tensor:
        """Attack a batch.

        Args:
            victim: from [0, 1] images to logits (N, K) or (N, K, H, W); normalises inside.
            images: (N, 3, H, W) float in [0, 1].
            target: int64 (N,) labels or (N, H, W) label maps with 255 = void; for a targeted
                attack the wanted classes.
            index: (N,) int64, the samples' stable ids, to which randomness belongs; by default
                0 … N-1, so pass it where a data set is attacked in batches.
            max_batch: the most images attacked at a time, for batches that do not fit into memory;
                None is the whole batch. The result is the same, up to the last bits of a victim
                whose sums depend on the size of its batch.

        Returns:
            (N, 3, H, W) adversarial images, detached, every value k/255.

        Raises:
            ValueError: if images, target or logits are not as stated.
        """
        images, target, index, highest = self._checked(victim, images, target, index)
        with _ready(victim, highest):
            batch = parts(images, target, index, max_batch)
            found = [self._perturbed(victim, *part).images for part in batch]
        return found[0] if len(found) == 1 else torch.cat(found)

    def run(
        self,
        victim: nn.Module,
        images: Tensor,
        target: Tensor,
        index: Tensor | None = None,
        max_batch: int | None = None,
    ) -> AttackResult:
        """Attack a batch and judge the outcome; arguments and errors as in ``__call__``."""
        images, target, index, highest = self._checked(victim, images, target, index)
        with _ready(victim, highest):
            batch = parts(images, target, index, max_batch)
            return joined([self._judged(victim, *part) for part in batch])

    @abstractmethod
    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search for adversarial images, given checked arguments and a frozen victim.

        All tensors of the result are detached.
        """

    def require_together(self) -> None:
        """Refuse the norm ``l2`` with budgets that are the defaults of ``linf``.

        An L2 budget is over all values of an image: 8/255 of it is no visible attack but hardly
        one level in a few pixels, and its success rate would say nothing of the victim.
        """
        if getattr(self, "norm", None) != "l2" or not is_dataclass(self):
            return
        own = {f.name: f.default for f in fields(self) if f.default is not MISSING}
        if own.get("norm") == "l2":
            return
        told = [n for n in ("eps", "step_size") if own.get(n) and getattr(self, n) == own[n]]
        if told:
            named = " and ".join(f"{name} {own[name] * 255:g}/255" for name in told)
            raise InputError(
                f"{self.name} with norm l2 needs its own {' and '.join(told)}, over all values of "
                f"an image (such as eps 0.5 and a step_size of a fifth of it), got {named}, the "
                "default of linf."
            )

    def attach(self, samples: Samples) -> None:
        """Give parts that need more than the images (mask files) access to samples by index."""

    def reseeded(self, seed: int) -> Self:
        """Return the same attack with another seed, as training needs in each epoch."""
        if is_dataclass(self) and "seed" not in vars(self):
            return self  # it draws nothing
        return self._replaced(seed=seed)

    def scaled(self, factor: float) -> Self:
        """Return the same attack with its budget and its step size multiplied by ``factor``.

        Raises:
            ValueError: if it has no budget that can be scaled.
        """
        if not self.budget_fields:
            raise InputError(
                f"{self.name} has no budget that can be scaled. In a training, leave the "
                "curriculum out, or take a gradient attack such as PGD."
            )
        given = {name: getattr(self, name) for name in self.budget_fields}
        scaled = {name: factor * given[name] for name in given if given[name] is not None}
        return self._replaced(**scaled)

    def _replaced(self, **knobs: Any) -> Self:
        """Return the attack with other values of some of its fields."""
        _require_frozen_fields(type(self))
        if is_dataclass(self):
            return replace(self, **knobs)
        changed = copy.copy(self)  # somebody's own class with a constructor
        vars(changed).update(knobs)
        return changed

    def traits(self) -> Traits:
        """Return a short description of the attack, by which reports compare attacks.

        Returns:
            ``kind``, ``method`` (the class; for a wrapper with the wrapped method in brackets) and,
            as far as the attack has them, ``norm`` and ``eps`` of its ball and ``steps``; and
            ``passes_per_step`` where a step asks its source more than once, and of flow attacks
            ``early_stop`` where an image does not leave at its first success.
        """
        names = [name for name in ("norm", "eps", "steps") if hasattr(self, name)]
        return {"kind": self.kind, "method": self.name} | {n: getattr(self, n) for n in names}

    def derived(self) -> Any:
        """Return settings that follow from the fields but are not among them, as a preset's values.

        They enter the fingerprint.
        """
        return None

    def fingerprint(self) -> str:
        """Return a hash of the derived settings: if a preset changes, so do the images."""
        _require_frozen_fields(type(self))
        return digest(describe(self.derived()))

    @property
    def name(self) -> str:
        """The name that randomness is keyed by: the class."""
        return type(self).__name__

    def _perturbed(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        found = self.perturb(victim, images, target, index)
        require_sound(found, images, self.name)
        return found

    def _judged(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> AttackResult:
        found = self._perturbed(victim, images, target, index)
        with torch.no_grad():
            fooled = fooled_share(query(victim, found.images, target), target, self.targeted)
            float_logits = query(victim, found.float_images, target)
            fooled_float = fooled_share(float_logits, target, self.targeted)
        return AttackResult(
            **vars(found), success=fooled == 1, success_float=fooled_float == 1, fooled=fooled
        )

    def _checked(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, int | None]:
        _require_frozen_fields(type(self))
        if not isinstance(victim, nn.Module):
            raise InputError(
                f"victim must be an nn.Module, got {victim!r}. Wrap a function in a module whose "
                "forward calls it."
            )
        _check_images(images)
        highest = _check_target(target, images, getattr(victim, "num_classes", None))
        if index is None:
            index = torch.arange(len(images))
        if not isinstance(index, Tensor) or index.shape != (len(images),) or _inexact(index):
            told = f"{index.dtype} {tuple(index.shape)}" if isinstance(index, Tensor) else index
            raise InputError(
                f"index must give one whole number per image, int64 ({len(images)},), got {told}."
            )
        return images.detach(), target.detach(), index.detach().cpu(), highest


@cache
def _require_frozen_fields(kind: type[Attack]) -> None:
    """Refuse a subclass of a dataclass whose own fields or constructor Python would overlook.

    Without a decorator of its own its constructor is the base's: defaults that it declares anew
    have no effect, and ``replace`` forgets what its own constructor was given.
    """
    if not is_dataclass(kind):
        return  # a constructor of its own all the way
    for base in kind.__mro__:
        own = vars(base)
        if "__dataclass_params__" in own and own["__dataclass_params__"].frozen:
            return
        declared = [
            n for n, a in own.get("__annotations__", {}).items() if "ClassVar" not in str(a)
        ]
        if "__dataclass_params__" in own or "__init__" in own or declared:
            raise InputError(
                f"an attack's settings are the fields of a frozen dataclass, but {base.__name__} "
                "has a constructor or fields and is none. Decorate it with "
                "@dataclass(frozen=True), and check arguments in __post_init__."
            )


def filled_in(settings: Settings, attack: Attack) -> Settings:
    """Return a preset's settings, overridden by the attack's fields of these names if not None."""
    names = vars(settings)
    given = {name: getattr(attack, name) for name in names if getattr(attack, name) is not None}
    return replace(settings, **given)  # type: ignore[type-var]  # settings are dataclasses


@contextmanager
def _ready(victim: nn.Module, highest: int | None) -> Iterator[None]:
    """Hold all that an attack needs: gradients, a frozen victim, and its queries checked."""
    with torch.inference_mode(False), torch.enable_grad(), frozen(victim), labels_up_to(highest):
        yield


def _inexact(values: Tensor) -> bool:
    return values.is_floating_point() or values.is_complex() or values.dtype == torch.bool


def _check_images(images: Tensor) -> None:
    if not isinstance(images, Tensor):
        raise InputError(
            f"images must be a tensor (N, 3, H, W) in [0, 1], got a {type(images).__name__}. "
            "Of 8-bit arrays (N, H, W, 3): torch.from_numpy(array).permute(0, 3, 1, 2) / 255."
        )
    precise = images.dtype in (torch.float32, torch.float64)
    if images.ndim != 4 or images.shape[1] != 3 or not images.numel() or not precise:
        raise InputError(
            "images must be float32 or float64 (N, 3, H, W) with N at least 1, got "
            f"{images.dtype} {tuple(images.shape)}. {_remedy(images)}"
        )
    low, high = images.amin().item(), images.amax().item()
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"images must lie in [0, 1], got [{low:.3f}, {high:.3f}]. "
            "Normalise inside the victim, not in the datamodule."
        )


def _remedy(images: Tensor) -> str:
    """Return what to do about images of another type or shape."""
    if images.dtype == torch.uint8:
        return "Divide 8-bit images by 255."
    if images.ndim == 3:
        return "Give one image as a batch: images[None]."
    if images.ndim == 4 and images.shape[1] == 1:
        return "Repeat the channel of grey images, and take its mean inside the victim."
    if images.ndim == 4 and images.shape[3] == 3:
        return "Channels come first: images.permute(0, 3, 1, 2)."
    return "For half precision use autocast."


def _check_target(target: Tensor, images: Tensor, num_classes: int | None) -> int | None:
    """Check shape, type, device and range of the labels, and return the highest, None of none."""
    shapes = ((len(images),), (len(images), *images.shape[2:]))
    told = f"{target.dtype} {tuple(target.shape)}" if isinstance(target, Tensor) else repr(target)
    if not isinstance(target, Tensor) or target.dtype != torch.int64 or target.shape not in shapes:
        raise InputError(
            f"target must be int64 of shape {shapes[0]} (classes) or {shapes[1]} (pixel classes), "
            f"got {told}. Class labels are whole numbers from 0 on: target.long()."
        )
    if target.device != images.device:
        raise InputError(
            f"images and target must be on one device, got {images.device} and {target.device}. "
            "Move one of them with .to(...)."
        )
    labels = target[valid_elements(target)]
    if labels.numel() == 0:
        return None
    low, high = torch.stack(labels.aminmax()).tolist()
    if low < 0 or (num_classes is not None and high >= num_classes):
        last = "K - 1" if num_classes is None else num_classes - 1
        raise InputError(
            f"labels must lie in 0 … {last}, the victim's classes (255 is void in "
            f"masks), got {low} … {high}. Check the data's labels and the victim's num_classes."
        )
    return int(high)


@contextmanager
def frozen(victim: nn.Module) -> Iterator[None]:
    """Hold a victim in eval mode with frozen parameters, and restore every flag afterwards.

    Flags are set on each module directly. ``victim.eval()`` would call overridden ``train``
    methods (frozen BatchNorm), and restoring through them would not give the same flags back.
    Frozen parameters also spare the memory of weight gradients.
    """
    training = [(module, module.training) for module in victim.modules()]
    trainable = [parameter for parameter in victim.parameters() if parameter.requires_grad]
    for module, _ in training:
        module.training = False
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter in trainable:
            parameter.requires_grad_(True)
