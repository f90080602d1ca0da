"""What all attacks of other libraries share: settings checked by name, draws and verdicts kept."""

import random
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack, Traits
from project.attacks.core.query import query
from project.attacks.core.result import Perturbed
from project.core.choices import choose
from project.core.errors import InputError, first_line, let_memory_errors_pass
from project.core.logits import logits_of
from project.core.packages import imported
from project.core.randomness import derived_seed
from project.threat_models import Linf, Norm, norm_ball


@dataclass(frozen=True)
class PeerAttack(Attack):
    """Base class of adapters: an attack of another library, on classifiers.

    The victim is handed on as it is, with images in [0, 1] and its own normalisation inside. Each
    image is attacked alone and under random state of its own, so that its result depends on no
    batch mate, whatever the library does; global random state stays as it was. What comes back is
    projected to the ball of ``eps`` where there is one, rounded to 8 bits, and judged.
    """

    package: ClassVar[str]
    """Name by which the library is imported."""
    distribution: ClassVar[str]
    """Name by which pip knows it."""

    method: str
    """The library's name of the attack."""
    settings: dict[str, Any] | None = field(default=None, hash=False)
    """Further arguments of the attack's constructor, by the library's names; others have the
    library's defaults."""
    eps: float | None = None
    """Budget in units of the [0, 1] range, which the library is told where it takes one, and which
    holds whatever it does; None where the attack has no budget, such as those that look for the
    least change."""
    norm: Norm = "linf"
    """Norm of the budget, which the library is told where it takes one."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed from which each image's random state derives."""

    def __post_init__(self) -> None:
        if self.eps is not None:
            norm_ball(self.norm, self.eps)  # refuses what is no budget
        kind = choose("method", self.known(), self.method)
        given = self.settings or {}
        own = self.own_arguments(kind)
        for name in given:
            if name in own:
                raise InputError(
                    f"{self.method}'s {name} is given by the fields of {self.name}, or by the "
                    "victim. Leave it out of settings."
                )
            choose(f"a setting of {self.method}", self.arguments(kind) - {*own}, name)
        try:
            with random_state(0, torch.device("cpu")):
                self.built(AskedVictim(nn.Flatten(), torch.zeros(1, 3, 1, 1)), (3, 1, 1), 3, 0)
        except InputError:
            raise
        except Exception as error:  # a library's constructor refuses values in ways of its own
            raise InputError(
                f"{self.package} cannot make {self.method} with these settings: {_told(error)}."
            ) from error

    def module(self, inside: str = "") -> Any:
        """Return the library, or the module of a name inside of it; see :func:`imported`."""
        name = f"{self.package}.{inside}" if inside else self.package
        return imported(name, self.name, "pip install 'mirage-attacks[peers]'")

    @abstractmethod
    def known(self) -> Mapping[str, Any]:
        """Return the library's attacks on classifiers by name.

        Raises:
            InputError: if it cannot be imported.
        """

    @abstractmethod
    def arguments(self, kind: Any) -> set[str]:
        """Return the names of an attack's constructor's arguments."""

    @abstractmethod
    def own_arguments(self, kind: Any) -> Collection[str]:
        """Return those of them that are not for the user's settings."""

    @abstractmethod
    def built(self, victim: "AskedVictim", shape: tuple[int, ...], classes: int, seed: int) -> Any:
        """Return the library's attack on a victim, or refuse fields that do not suit it.

        Args:
            victim: the victim.
            shape: an image's, (3, H, W).
            classes: number of the victim's classes.
            seed: the image's own, for attacks that seed themselves.
        """

    @abstractmethod
    def attacked(self, attack: Any, victim: "AskedVictim", image: Tensor, target: Tensor) -> Tensor:
        """Run the library's attack on a batch of one image, (1, 3, H, W), and return it changed."""

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Attack image after image.

        Rows hold as steps how many images the victim was asked for.
        """
        if target.ndim > 1:
            raise InputError(
                f"{self.name} looks for an image of another class, but the target has a class for "
                f"each pixel, {tuple(target.shape)}. A classifier takes class labels; attack a "
                "segmenter with SEA."
            )
        with torch.no_grad():
            classes = query(victim, images, target).shape[1]
        found, asked = [], []
        for place, sample in enumerate(index.tolist()):
            image, label = images[place : place + 1], target[place : place + 1]
            asking = AskedVictim(victim, image)
            found.append(self._attacked(asking, image, label, classes, sample))
            asked.append(asking.asked)
        return self._inside(images, torch.cat(found), torch.tensor(asked, device=images.device))

    def traits(self) -> Traits:
        """Return the traits, the library's name of the attack in brackets behind the class."""
        traits: Traits = {"kind": self.kind, "method": f"{self.name}({self.method})"}
        return traits if self.eps is None else traits | {"norm": self.norm, "eps": self.eps}

    def derived(self) -> Any:
        """Return the library's version, on which the images depend."""
        return {self.distribution: version(self.distribution)}

    def require_eps(self, budgeted: bool) -> None:
        """Refuse an attack that works in a ball without one."""
        if budgeted and self.eps is None:
            raise InputError(
                f"{self.package}'s {self.method} works inside a budget: give {self.name} an eps, "
                "such as 8/255."
            )

    def require_norm(self, measured: Collection[str]) -> None:
        """Refuse a budget in a norm that the attack does not work in."""
        if self.eps is not None and self.norm not in measured:
            raise InputError(
                f"{self.package}'s {self.method} works in {' or '.join(measured)}, got norm "
                f"{self.norm}. Set norm, or leave eps out to judge what it finds as it is."
            )

    def _attacked(
        self, asking: "AskedVictim", image: Tensor, label: Tensor, classes: int, sample: int
    ) -> Tensor:
        seed = derived_seed(self.seed, self.name, self.method, sample)
        try:
            with random_state(seed, image.device):
                attack = self.built(asking, tuple(image.shape[1:]), classes, seed % _SEEDS)
                changed = self.attacked(attack, asking, image.clone(), label.clone())
        except InputError:
            raise
        except Exception as error:  # a library fails in ways of its own
            let_memory_errors_pass(error)
            raise InputError(
                f"{self.package}'s {self.method} failed on sample {sample}: {_told(error)}. Its "
                "settings may not suit the victim or the size of the images."
            ) from error
        if changed.shape != image.shape:
            raise InputError(
                f"{self.package}'s {self.method} must return an image {tuple(image.shape)}, got "
                f"{tuple(changed.shape)}."
            )
        changed = changed.detach().to(image)
        return torch.where(changed.isfinite(), changed, image)

    def _inside(self, images: Tensor, found: Tensor, asked: Tensor) -> Perturbed:
        ball = Linf(1.0) if self.eps is None else norm_ball(self.norm, self.eps)
        perturbation = ball.project(images, found - images)
        float_images = ball.apply(images, perturbation)
        return Perturbed(
            images=ball.round(images, float_images),
            float_images=float_images,
            perturbation=perturbation,
            steps=asked,
            threat_model=ball,
        )


_SEEDS = 2**31
"""Seeds that every library takes are below."""


class AskedVictim(nn.Module):
    """A victim as libraries see it: always in eval mode, without parameters that they could change.

    Args:
        victim: returns logits (N, K) of images (N, 3, H, W).
        image: of the type and on the device that the victim takes.

    Attributes:
        asked: how many images it was asked for.
    """

    def __init__(self, victim: nn.Module, image: Tensor) -> None:
        super().__init__()
        # In a tuple it is no submodule: libraries call train(), eval() and zero_grad().
        self._victim = (victim,)
        self._dtype = image.dtype
        self.place = nn.Parameter(image.new_zeros(()), requires_grad=False)  # tells the device
        self.training = False
        self.asked = 0

    def train(self, mode: bool = True) -> "AskedVictim":
        """Stay as it is."""
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of the images' own type."""
        self.asked += len(images)
        return logits_of(self._victim[0](images.to(self._dtype))).to(images.dtype)


@contextmanager
def random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Hold random state of its own in Python, NumPy and torch, and restore it afterwards."""
    kept, kept_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(kept)
            np.random.set_state(kept_numpy)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}, {first_line(error)}"
