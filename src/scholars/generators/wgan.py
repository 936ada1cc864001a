"""Wasserstein GAN with weight clipping (Arjovsky et al. 2017, arXiv 1701.07875).

critic     maximises E[D(x)] - E[D(G(z))], its weights clipped to [-c, c] after every step    (eq. 3, algorithm 1)
painter    minimises -E[D(G(z))]

Instead of the paper's five critic steps, c = 0.01 and one rate for both, one step, c = 0.03 and twice the painter's
rate: what makes it learn within minutes (docs/measurements.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.generator_settings import WGANSettings
from scholars.generators.adversarial import Adversarial, Judge, score_both


class WGAN(Adversarial):
    """A WGAN, which paints what it pleases unless set otherwise."""

    settings: WGANSettings

    def critic_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The negative of eq. 3's estimate of the distance."""
        on_real, on_fake = score_both(judge, real, fake, told)
        wasserstein = on_real.mean() - on_fake.mean()
        return -wasserstein, {"wasserstein": wasserstein.detach()}

    def painter_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> Tensor:
        """The painter's part of the distance."""
        return -judge(fake, told).mean()

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """RMSProp: with momentum the game is unstable (section 4)."""
        return torch.optim.RMSprop(parameters, lr=rate)

    @torch.no_grad()
    def after_critic_step(self, critic: nn.Module) -> None:
        """Clip, so that the critic stays Lipschitz."""
        torch._foreach_clamp_min_(list(critic.parameters()), -self.settings.clip)
        torch._foreach_clamp_max_(list(critic.parameters()), self.settings.clip)
