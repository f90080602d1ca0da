"""Training a universal perturbation: one for a whole data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import Parameter

from project.attacks.gradient.landscape import Landscape
from project.attacks.gradient.objectives import CrossEntropy, Objective
from project.attacks.gradient.transforms import InputTransform
from project.core.answers import NO_PREDICTION, predicted_classes
from project.core.errors import InputError
from project.core.losses import valid_elements
from project.core.randomness import Draws
from project.data.loader import Batch
from project.metrics import Rate
from project.threat_models import Linf
from project.training.optimisation import Schedule, make_schedule
from project.training.training import Training
from project.victims import Victim


class UniversalTraining(Training):
    r"""Train one perturbation that fools a victim on most images of a data set.

    $$\max_{\|\delta\|_\infty \le \epsilon} \sum_n \min\{J(x_n + \delta, y_n), \beta\}$$ by
    projected steps along the sign of a batch's mean gradient. The victim stays frozen in eval
    mode. Logs ``train/loss`` (minus the objective) and ``val/fooled``, ``test/fooled``: of the
    elements that the victim gets right, the share that it gets wrong under the perturbation,
    8-bit. Checkpoints hold the perturbation alone, and load as the ``checkpoint`` of the attack
    ``Universal`` without conversion.

    Source: Shafahi et al., "Universal Adversarial Training", AAAI 2020, section 3 [paper]; the
    sign step and the default of β [port]; the idea of such perturbations: Moosavi-Dezfooli et al.,
    "Universal Adversarial Perturbations", CVPR 2017.

    Args:
        victim: the victim to fool, with its weights; with an ensemble, all of its members.
        size: height and width of the data's images in pixels.
        eps: ε, in units of the [0, 1] range.
        step_size: α in the same units, the schedule's peak.
        schedule: course of the step size over all steps of the run; falling, since steps of a
            constant size never settle [ours].
        objective: J, the objective to maximise; None is the mean cross-entropy.
        transforms: transforms of the images before the victim, for example diverse views.
        cap: β; an image whose objective has reached it adds no gradient, so that none dominates.
        seed: the key of all draws.
    """

    def __init__(
        self,
        victim: Victim,
        size: tuple[int, int],
        *,
        eps: float = 8 / 255,
        step_size: float = 1 / 255,
        schedule: Schedule = "cosine",
        objective: Objective | None = None,
        transforms: Sequence[InputTransform] = (),
        cap: float = 12.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.victim = victim.requires_grad_(False)
        self.size = size
        self.eps = eps
        self.step_size = step_size
        self.schedule: Schedule = schedule
        self.objective = CrossEntropy() if objective is None else objective
        self.transforms = transforms
        self.cap = cap
        self.seed = seed
        self.threat_model = Linf(eps)
        self.perturbation = torch.nn.Parameter(torch.zeros(1, 3, *size))
        self.fooled = Rate()
        self.strict_loading = False  # the victim is not in the checkpoints

    def setup(self, stage: str) -> None:
        """Check that the victim fits the data, before anything runs."""
        self.check_victim(self.victim)

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, 3, H, W) under the perturbation, 8-bit."""
        return self.threat_model.round(
            images, self.threat_model.apply(images, self._spread(images))
        )

    def loss(self, batch: Batch) -> Tensor:
        """Return minus the mean objective, to first order in the perturbation.

        The landscape gives value and slope of each image; the expansion around the perturbation
        has them both, and so the gradient comes the usual way, over processes too.
        """
        images = batch["image"]
        shown = self.threat_model.apply(images, self._spread(images))
        inside = shown.detach() - images
        slope = self._landscape(batch).value_and_gradient(inside, self.global_step + 1)
        change = ((shown - shown.detach()) * slope.gradient).flatten(1).sum(1)
        return -torch.where(slope.value < self.cap, slope.value + change, self.cap).mean()

    def on_train_start(self) -> None:
        """Put the victim into eval mode, where it stays."""
        self.victim.eval()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the elements that the perturbation fools."""
        self._measure(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the elements that the perturbation fools."""
        self._measure(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the share fooled of the whole validation set."""
        self._conclude("val/fooled")

    def on_test_epoch_end(self) -> None:
        """Log the share fooled of the whole test set."""
        self._conclude("test/fooled")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the projected sign optimiser, with a schedule that advances at every step."""
        optimizer = ProjectedSign([self.perturbation], self.step_size, self.eps)
        scheduler: Any = make_schedule(optimizer, self.schedule, self._total)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the perturbation alone, without the victim's weights."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["state_dict"] = {"perturbation": self.perturbation.detach()}

    @property
    def _total(self) -> int:
        return int(self.trainer.estimated_stepping_batches)

    def _landscape(self, batch: Batch) -> Landscape:
        return Landscape(
            self.victim,
            batch["image"],
            batch["target"],
            threat_model=self.threat_model,
            objective=self.objective,
            transforms=self.transforms,
            targeted=False,
            total=self._total,
            draws=Draws(batch["index"].cpu(), self.seed, type(self).__name__),
        )

    def _spread(self, images: Tensor) -> Tensor:
        if tuple(images.shape[-2:]) != tuple(self.size):
            raise InputError(
                f"the data's images must have the perturbation's size {self.size[0]}×"
                f"{self.size[1]}, got {images.shape[-2]}×{images.shape[-1]}. Correct --model.size, "
                "or give the data a frame."
            )
        return self.perturbation.expand_as(images)

    def _measure(self, batch: Batch) -> None:
        images, target = batch["image"], batch["target"]
        right = (predicted_classes(self.victim(images)) == target) & valid_elements(target)
        predicted = predicted_classes(self.victim(self(images)))
        self.fooled.update(predicted != target, among=right & (predicted != NO_PREDICTION))

    def _conclude(self, name: str) -> None:
        # compute() has summed over ranks: all hold the same number, and its mean is that number.
        self.log(name, self.fooled.compute().value, prog_bar=True, sync_dist=True)
        self.fooled.reset()


class ProjectedSign(torch.optim.Optimizer):
    r"""Steps along the gradient's sign: $$\delta \leftarrow [\delta - \alpha\,s(\nabla)]_{\pm ε}$$.

    The steepest descent of an L∞ ball, projected onto it; the learning rate is α.

    Args:
        parameters: what to fit.
        lr: α, in units of the [0, 1] range.
        eps: ε, the ball's radius in the same units.
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float, eps: float) -> None:
        super().__init__(parameters, {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad.sign(), alpha=group["lr"])
                    parameter.clamp_(-group["eps"], group["eps"])
        return loss
