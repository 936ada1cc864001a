"""What the adversarial generators share: a painter, a critic, and the game between them.

The critic takes ``critic_steps`` steps for each of the painter's. The kinds differ in what either minimises, and how
(gan.py, r3gan.py, wgan.py, wgan_gp.py).
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.compute import place, to_float
from scholars.fitting import Draw, Trainee, average, gradient_norm, set_rate
from scholars.generator_settings import AdversarialSettings
from scholars.generators.base import Generator
from scholars.generators.painting import Painter, ProjectionCritic
from scholars.team import average_gradients, noise

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# The share that a critic who has won tells rightly: the painter hears of one image in fifty that it did well, or fewer.
WON = 0.98


class Judge(Protocol):
    """What scores images as showing what they are told to show."""

    def __call__(self, images: Tensor, told: Tensor) -> Tensor:
        """Images ``[B, C, H, W]`` and what they are to show ``[B]`` -> scores ``[B]`` float."""

    def slope(self, images: Tensor, told: Tensor) -> Tensor:
        """The gradient of the scores by the images, ``[B, C, H, W]``."""

    def read(self, images: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """The scores, and logits ``[B, conditions]`` of what the images show."""


class Adversarial(Generator):
    """A painter of ``[B, C, size, size]`` images, and the critic who has never seen a good enough one.

    classifies: whether the critic can also be asked which condition an image shows
    """

    def __init__(
        self, settings: AdversarialSettings, channels: int, size: int, conditions: int, classifies: bool = False
    ) -> None:
        super().__init__()
        self.settings = settings
        count = conditions if settings.conditional else 0
        self.painter = Painter(settings.latent, channels, size, settings.width, count)
        # The critic stays with the generator: the next generation starts from both.
        self.critic = ProjectionCritic(channels, size, settings.width, count, classifies)

    @abc.abstractmethod
    def critic_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What the critic minimises, and what else of it is to be logged.

        real, fake: ``[B, C, H, W]`` in [-1, 1], either showing what is ``told`` ``[B]``
        """

    @abc.abstractmethod
    def painter_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> Tensor:
        """What the painter minimises; arguments as for the critic."""

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """The optimizer of either network: Adam with beta_1 = 0.5 (Radford et al. 2016, section 4), or a kind's own."""
        return torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999), fused=True)

    def after_critic_step(self, critic: nn.Module) -> None:
        """Called after every step of the critic."""

    def sample(self, conditions: Tensor) -> Tensor:
        """Paint one image per condition."""
        noise = self.settings.spread * torch.randn(len(conditions), self.settings.latent, device=conditions.device)
        images: Tensor = self.painter(noise, conditions)
        return images

    def trainee(self, fabric: Fabric) -> Trainee:
        """The game of critic and painter."""
        return Game(fabric, self)


class Game:
    """The trainee: a live painter against the critic, the generator's own painter being the live one's average."""

    def __init__(self, fabric: Fabric, generator: Adversarial) -> None:
        self._fabric, self._generator, self._settings = fabric, generator, generator.settings
        self.calm = 1.0
        place(generator, fabric.device)
        # Bare modules under autocast, not Fabric's wrapped ones: a critic is asked for its slope, too.
        self._painter, self._average = copy.deepcopy(generator.painter), generator.painter
        self._critic = generator.critic
        self._painter_optimizer = generator.optimizer(self._painter.parameters(), self._settings.rate)
        self._critic_optimizer = generator.optimizer(self._critic.parameters(), self._settings.critic_rate)
        self.modules: Mapping[str, nn.Module] = {"generator": generator, "live": self._painter}
        self.optimizers: Mapping[str, Optimizer] = {
            "painter_optimizer": self._painter_optimizer,
            "critic_optimizer": self._critic_optimizer,
        }

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """``critic_steps`` steps of the critic, each on a batch of its own, then one of the painter on the last batch.

        The painter is taught by the very images that the critic saw: they are painted once.
        """
        s = self._settings
        set_rate(self._painter_optimizer, self.calm * s.rate * (1 - progress))
        set_rate(self._critic_optimizer, self.calm * s.critic_rate * (1 - progress))
        self._painter.train()
        for remaining in reversed(range(s.critic_steps)):
            batch = draw()
            real, told = to_float(batch.images), batch.conditions
            with self._fabric.autocast():
                with torch.set_grad_enabled(remaining == 0):
                    fake = self._painter(self._noise(told), told).float()
                loss, values = self._generator.critic_loss(self._critic, real, fake.detach(), told)
            self._critic_optimizer.zero_grad()
            self._fabric.backward(loss)
            average_gradients(self._fabric, self._critic)
            critic_norm = gradient_norm(self._critic.parameters())
            self._critic_optimizer.step()
            self._generator.after_critic_step(self._critic)
        self._critic.requires_grad_(False)
        with self._fabric.autocast():
            painter_loss = self._generator.painter_loss(self._critic, real, fake, told)
        self._painter_optimizer.zero_grad()
        self._fabric.backward(painter_loss)
        average_gradients(self._fabric, self._painter)
        painter_norm = gradient_norm(self._painter.parameters())
        self._painter_optimizer.step()
        self._critic.requires_grad_(True)
        average(self._average, self._painter, s.ema)
        return {
            "critic_loss": loss.detach(),
            **values,
            "painter_loss": painter_loss.detach(),
            "critic_gradient_norm": critic_norm,
            "painter_gradient_norm": painter_norm,
        }

    def _noise(self, told: Tensor) -> Tensor:
        """As wide as it was dreamt of, where it was: else it would be widened anew by every generation."""
        s = self._settings
        drawn = noise(len(told), s.latent, device=self._fabric.device)
        known = self._generator.past.known
        if s.spread != 1 and known:
            drawn = drawn * torch.where(told < known, s.spread, 1.0)[:, None]
        return drawn


def critic_has_won(metrics: Mapping[str, float], what: str, cure: str) -> str | None:
    """Whether the critic tells all ``what`` from one another: then nothing is left for the painter to learn from."""
    right = metrics.get("critic_accuracy", 0.5)
    return f"the critic has won: it tells {100 * right:.0f} % of the {what} rightly. {cure}" if right >= WON else None


def score_both(judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
    """The critic's scores of real and of painted images, in one pass."""
    on_real, on_fake = judge(torch.cat([real, fake]), told.repeat(2)).chunk(2)
    return on_real, on_fake
