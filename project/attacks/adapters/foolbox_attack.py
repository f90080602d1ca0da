"""Attacks of the library foolbox."""

import inspect
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from project.attacks.adapters.peer import AskedVictim, PeerAttack

_NEED_MORE = ("DatasetAttack", "BinarizationRefinementAttack")  # than a network and an image
_NO_START = "init_attack failed"


@dataclass(frozen=True)
class FoolboxAttack(PeerAttack):
    """An attack of foolbox on a classifier, image by image, judged as Mirage's own are.

    ``method`` is the class's name, such as ``LinfPGD``, ``BoundaryAttack``, ``HopSkipJumpAttack``
    or ``L2BrendelBethgeAttack``. An image for which a decision-based attack finds nothing to start
    from stays as it is.

    Source: Rauber et al., "Foolbox Native: Fast adversarial attacks to benchmark the robustness of
    machine learning models in PyTorch, TensorFlow, and JAX", JOSS 2020 [code].

    Raises:
        InputError: if the library is not installed, or has no such attack or setting.
    """

    package = "foolbox"
    distribution = "foolbox"

    def known(self) -> Mapping[str, Any]:
        """Return the attacks that need nothing but a network."""
        library = self.module()
        return {
            name: kind
            for name, kind in sorted(vars(self.module("attacks")).items())
            if isinstance(kind, type)
            and issubclass(kind, library.Attack)
            and not inspect.isabstract(kind)
            and kind.__name__ not in _NEED_MORE
        }

    def arguments(self, kind: Any) -> set[str]:
        """Return the names of an attack's constructor's arguments."""
        return set(inspect.signature(kind).parameters)

    def own_arguments(self, kind: Any) -> Collection[str]:
        """Return what fields give."""
        return ("distance",)

    def built(self, victim: AskedVictim, shape: tuple[int, ...], classes: int, seed: int) -> Any:
        """Return the attack."""
        library = self.module()
        kind = self.known()[self.method]
        self.require_eps(issubclass(kind, self.module("attacks.base").FixedEpsilonAttack))
        given = dict(self.settings or {})
        distances = {"linf": library.distances.linf, "l2": library.distances.l2}
        if "distance" in self.arguments(kind):
            given["distance"] = distances[self.norm]
        attack = kind(**given)
        if self.eps is not None:
            own = getattr(attack, "distance", None)
            self.require_norm([norm for norm, one in distances.items() if own == one] or [str(own)])
        return attack

    def attacked(self, attack: Any, victim: AskedVictim, image: Tensor, target: Tensor) -> Tensor:
        """Run the attack."""
        library = self.module()
        model = library.PyTorchModel(victim, bounds=(0, 1), device=image.device)
        missed = library.criteria.Misclassification, library.criteria.TargetedMisclassification
        criterion = missed[self.targeted](target)
        try:
            with warnings.catch_warnings():  # before it says by an error that it found no start
                warnings.filterwarnings("ignore", ".*failed to draw sufficient random inputs")
                changed: Tensor = attack(model, image, criterion, epsilons=self.eps)[0]
        except ValueError as error:
            if not str(error).startswith(_NO_START):
                raise
            return image
        return changed
