"""Attacks of the Adversarial Robustness Toolbox."""

import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from project.attacks.adapters.peer import AskedVictim, PeerAttack
from project.core.errors import InputError
from project.threat_models import Norm

_NORMS: Mapping[Norm, float] = {"linf": np.inf, "l2": 2}
_VICTIM = ("estimator", "classifier")
_PROBABILITIES = ("SimBA", "VirtualAdversarialMethod")  # what they ask of a victim; others: logits


@dataclass(frozen=True)
class ArtAttack(PeerAttack):
    """An evasion attack of ART on a classifier, image by image, judged as Mirage's own are.

    ``method`` is the class's name, such as ``HopSkipJump``, ``SimBA``, ``GeoDA``, ``ZooAttack`` or
    ``ProjectedGradientDescent``. The library computes in single precision.

    Source: Nicolae et al., "Adversarial Robustness Toolbox v1.0.0", arXiv 1807.01069 [code].

    Raises:
        InputError: if the library is not installed, or has no such attack or setting.
    """

    package = "art"
    distribution = "adversarial-robustness-toolbox"

    def known(self) -> Mapping[str, Any]:
        """Return the attacks that take a classifier and nothing else that plain settings can't."""
        base = self.module("attacks.attack")
        return {
            name: kind
            for name, kind in sorted(vars(self.module("attacks.evasion")).items())
            if isinstance(kind, type)
            and issubclass(kind, base.EvasionAttack)
            and not inspect.isabstract(kind)
            and next(iter(inspect.signature(kind).parameters), "") in _VICTIM
        }

    def arguments(self, kind: Any) -> set[str]:
        """Return the names of an attack's constructor's arguments."""
        return set(inspect.signature(kind).parameters) - {*_VICTIM}

    def own_arguments(self, kind: Any) -> Collection[str]:
        """Return what fields and victim give; without a budget the norm is a setting."""
        own = (*_VICTIM, "eps", "targeted", "summary_writer")
        return own if self.eps is None else (*own, "norm")

    def built(self, victim: AskedVictim, shape: tuple[int, ...], classes: int, seed: int) -> Any:
        """Return the attack."""
        kind = self.known()[self.method]
        names = inspect.signature(kind).parameters
        self.require_eps("eps" in names)
        if self.targeted and "targeted" not in names:
            raise InputError(f"art's {self.method} cannot be targeted.")
        own = {"eps": self.eps, "targeted": self.targeted, "verbose": False}
        if self.eps is not None and not isinstance(getattr(names.get("norm"), "default", ""), str):
            own["norm"] = _NORMS[self.norm]
        given = {name: value for name, value in own.items() if name in names}
        network = nn.Sequential(victim, nn.Softmax(1)) if self.method in _PROBABILITIES else victim
        model = self.module("estimators.classification").PyTorchClassifier(
            network,
            nn.CrossEntropyLoss(),
            shape,
            classes,
            clip_values=(0.0, 1.0),
            device_type="gpu" if victim.place.is_cuda else "cpu",
        )
        return kind(model, **(given | (self.settings or {})))

    def attacked(self, attack: Any, victim: AskedVictim, image: Tensor, target: Tensor) -> Tensor:
        """Run the attack."""
        classes = np.eye(attack.estimator.nb_classes, dtype=np.float32)  # the form that all take
        with seeded_states():
            changed = attack.generate(image.float().cpu().numpy(), classes[target.cpu().numpy()])
        return torch.from_numpy(np.array(changed))


_State = np.random.RandomState


class _AnyState(type):
    """Lets every random state of NumPy be one, since libraries check what they are given."""

    def __instancecheck__(cls, thing: Any) -> bool:
        return isinstance(thing, _State)


class _SeededState(_State, metaclass=_AnyState):
    """A random state that is seeded by the global one where it would be by the machine's noise."""

    def __init__(self, seed: Any = None) -> None:
        super().__init__(np.random.randint(2**31) if seed is None else seed)


@contextmanager
def seeded_states() -> Iterator[None]:
    """Seed what HopSkipJump and BoundaryAttack draw their first images from, which nobody else can.

    They make a ``RandomState()`` of their own each time.
    """
    setattr(np.random, "RandomState", _SeededState)  # noqa: B010 - mypy minds the assignment
    try:
        yield
    finally:
        setattr(np.random, "RandomState", _State)  # noqa: B010
