"""Attacks of the library torchattacks."""

import inspect
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from project.attacks.adapters.peer import AskedVictim, PeerAttack
from project.core.errors import InputError
from project.threat_models import Norm

_NORMS: Mapping[Norm, str] = {"linf": "Linf", "l2": "L2"}
_MEASURES = re.compile(r"Distance Measure\s*:\s*(.*)")


@dataclass(frozen=True)
class TorchattacksAttack(PeerAttack):
    """An attack of torchattacks on a classifier, image by image, judged as Mirage's own are.

    ``method`` is the class's name, such as ``PGD``, ``CW``, ``VMIFGSM``, ``OnePixel`` or ``Pixle``.

    Source: Kim, "Torchattacks: A PyTorch Repository for Adversarial Attacks", arXiv 2010.01950
    [code].

    Raises:
        InputError: if the library is not installed, or has no such attack or setting.
    """

    package = "torchattacks"
    distribution = "torchattacks"

    def known(self) -> Mapping[str, Any]:
        """Return the attacks that need nothing but a network."""
        library = self.module()
        names = set(library.__all__) - set(library.__wrapper__)
        return {name: getattr(library, name) for name in sorted(names)}

    def arguments(self, kind: Any) -> set[str]:
        """Return the names of an attack's constructor's arguments."""
        return set(inspect.signature(kind).parameters) - {"model"}

    def own_arguments(self, kind: Any) -> Collection[str]:
        """Return what fields and victim give."""
        return ("model", "eps", "norm", "seed", "n_classes")

    def built(self, victim: AskedVictim, shape: tuple[int, ...], classes: int, seed: int) -> Any:
        """Return the attack."""
        kind = self.known()[self.method]
        names = self.arguments(kind)
        self.require_eps("eps" in names)
        measures = _MEASURES.search(kind.__doc__ or "")
        if measures is not None:
            self.require_norm([norm for norm, name in _NORMS.items() if name in measures[1]])
        own = {"eps": self.eps, "norm": _NORMS[self.norm], "seed": seed, "n_classes": classes}
        given = {name: value for name, value in own.items() if name in names}
        attack = kind(victim, **given, **(self.settings or {}))
        if self.targeted:
            if "targeted" not in attack.supported_mode:
                raise InputError(f"torchattacks's {self.method} cannot be targeted.")
            attack.set_mode_targeted_by_label(quiet=True)
        return attack

    def attacked(self, attack: Any, victim: AskedVictim, image: Tensor, target: Tensor) -> Tensor:
        """Run the attack."""
        changed: Tensor = attack(image, target)
        return changed
