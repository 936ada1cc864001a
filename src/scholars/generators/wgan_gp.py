"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028).

With real images x ~ P_r, painted ones x~ = G(z) ~ P_g, and x^ = e x + (1 - e) x~ with e ~ U[0, 1] between them:

    critic     L = E[D(x~)] - E[D(x)] + lambda * E[(|grad_x^ D(x^)|_2 - 1)^2]        (eq. 3)
    painter    minimises -E[D(G(z))]                                                 (eq. 1-2)

Instead of the paper's five critic steps at 1e-4, one at a rate twice the painter's (Heusel et al. 2017, arXiv
1706.08500): on two cores this is what makes it learn within minutes (docs/measurements.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.generator_settings import WGANGPSettings
from scholars.generators.adversarial import Adversarial, Judge, score_both
from scholars.team import chances


class WGANGP(Adversarial):
    """A WGAN-GP, which paints what it pleases unless set otherwise."""

    settings: WGANGPSettings

    def critic_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 3."""
        share = chances(len(real), 1, 1, 1, device=real.device)
        # Scores first: the autocast of older versions of torch keeps the weights that a slope casts, which have no
        # gradient, for all that comes after it (pytorch/pytorch#158232).
        on_real, on_fake = score_both(judge, real, fake, told)
        gradient = judge.slope(torch.lerp(fake, real, share), told)
        penalty = (gradient.float().flatten(1).norm(dim=1) - 1).square().mean()
        wasserstein = on_real.mean() - on_fake.mean()
        loss = -wasserstein + self.settings.penalty * penalty
        return loss, {"wasserstein": wasserstein.detach(), "penalty": penalty.detach()}

    def painter_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> Tensor:
        """Eq. 2's second term."""
        return -judge(fake, told).mean()

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """Adam with beta_1 = 0, beta_2 = 0.9 (algorithm 1)."""
        return torch.optim.Adam(parameters, lr=rate, betas=(0.0, 0.9), fused=True)

    def diverged(self, metrics: Mapping[str, float]) -> str | None:
        """The critic is far from 1-Lipschitz: gradients of norm 2 or 0 where they should be 1."""
        if metrics.get("penalty", 0.0) < 1:
            return None
        return (
            f"the critic diverged: its gradient penalty ended at {metrics['penalty']:.2f}, of norms far from 1. Lower "
            "generator.wgan-gp.critic_rate, or raise generator.wgan-gp.penalty"
        )
