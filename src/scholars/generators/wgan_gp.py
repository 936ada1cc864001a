"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028).

With real images x ~ P_r, painted ones x~ = G(z) ~ P_g, and x^ = e x + (1 - e) x~ with e ~ U[0, 1] between them:

    critic     L = E[D(x~)] - E[D(x)] + lambda * E[(|grad_x^ D(x^)|_2 - 1)^2]        (eq. 3)
    painter    minimises -E[D(G(z))]                                                 (eq. 1-2)

The critic takes ``critic_steps`` steps for each of the painter's.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.compute import place, to_float
from scholars.config import WGANGPSettings
from scholars.fitting import Draw, Trainee, average, set_rate
from scholars.generators.base import Generator
from scholars.generators.dcgan import Critic, Painter


class WGANGP(Generator):
    """An unconditional WGAN-GP over ``[B, C, size, size]`` images."""

    conditional = False

    def __init__(self, settings: WGANGPSettings, channels: int, size: int) -> None:
        super().__init__()
        self.settings = settings
        self.painter = Painter(settings.latent, channels, size, settings.width)
        # The critic stays with the generator: the next generation starts from both.
        self.critic = Critic(channels, size, settings.width)

    def trainee(self, fabric: Fabric) -> Trainee:
        """The game of critic and painter."""
        return Game(fabric, self)

    def sample(self, labels: Tensor) -> Tensor:
        """Paint one image per label; the labels themselves are ignored."""
        images: Tensor = self.painter(torch.randn(len(labels), self.settings.latent, device=labels.device))
        return images


class Game:
    """The trainee: a live painter against the critic, the generator's own painter being the live one's average."""

    def __init__(self, fabric: Fabric, generator: WGANGP) -> None:
        self._fabric, self._settings = fabric, generator.settings
        place(generator, fabric)
        # Bare modules under autocast, not Fabric's wrapped ones: those refuse the inner gradient of the penalty.
        self._painter, self._average = copy.deepcopy(generator.painter), generator.painter
        self._critic: nn.Module = generator.critic
        # beta_1 = 0, beta_2 = 0.9: the paper's algorithm 1.
        adam = functools.partial(torch.optim.Adam, lr=self._settings.rate, betas=(0.0, 0.9), fused=True)
        self._painter_adam, self._critic_adam = adam(self._painter.parameters()), adam(self._critic.parameters())
        self.modules: Mapping[str, nn.Module] = {"generator": generator, "live": self._painter}
        self.optimizers: Mapping[str, Optimizer] = {
            "painter_adam": self._painter_adam,
            "critic_adam": self._critic_adam,
        }

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """``critic_steps`` steps of the critic, each on a batch of its own, then one of the painter."""
        s = self._settings
        for optimizer in (self._painter_adam, self._critic_adam):
            set_rate(optimizer, s.rate * (1 - progress))
        self._painter.train()
        for _ in range(s.critic_steps):
            real = to_float(draw().images.to(self._fabric.device))
            with self._fabric.autocast():
                with torch.no_grad():
                    fake = self._painter(self._noise(len(real))).float()
                loss, values = self._critic_loss(real, fake)
            self._critic_adam.zero_grad()
            self._fabric.backward(loss)
            self._critic_adam.step()
        self._critic.requires_grad_(False)
        with self._fabric.autocast():
            painter_loss = -self._critic(self._painter(self._noise(s.batch))).float().mean()
        self._painter_adam.zero_grad()
        self._fabric.backward(painter_loss)
        self._painter_adam.step()
        self._critic.requires_grad_(True)
        average(self._average, self._painter, s.ema)
        return {**values, "painter_loss": painter_loss.detach()}

    def _critic_loss(self, real: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = torch.lerp(fake, real, share).requires_grad_()
        # One pass for all three: two kernel launches a layer less each.
        on_real, on_fake, on_between = self._critic(torch.cat([real, fake, between])).float().chunk(3)
        (gradient,) = torch.autograd.grad(on_between.sum(), between, create_graph=True)
        penalty = (gradient.float().flatten(1).norm(dim=1) - 1).square().mean()
        wasserstein = on_real.mean() - on_fake.mean()
        loss = -wasserstein + self._settings.penalty * penalty
        return loss, {"wasserstein": wasserstein.detach(), "penalty": penalty.detach()}

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self._settings.latent, device=self._fabric.device)
