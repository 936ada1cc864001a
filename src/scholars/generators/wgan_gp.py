"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028).

With real images x ~ P_r, generated ones x~ = G(z) ~ P_g, and x^ = e x + (1 - e) x~ with e ~ U[0, 1] between them:

    critic      L = E[D(x~)] - E[D(x)] + lambda * E[(|grad_x^ D(x^)|_2 - 1)^2]        (eq. 3)
    generator   minimises -E[D(G(z))]                                                 (eq. 1-2)

Instead of the paper's five critic steps at 1e-4: one, at twice the generator's rate (Heusel et al. 2017, arXiv
1706.08500), which learns within minutes on two cores (docs/measurements.md).
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.compute.processes import rand_rows
from scholars.generators.adversarial import Adversarial, Critic, score_both
from scholars.settings import WGANGPSettings


class WGANGP(Adversarial):
    """A WGAN-GP; unconditional by default."""

    settings: WGANGPSettings

    def critic_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return eq. 3."""
        share = rand_rows(len(real), 1, 1, 1, device=real.device)
        # Scores first: the autocast of older versions of torch keeps the weights that input_gradient casts, which have
        # no gradient, for all that comes after it (pytorch/pytorch#158232).
        on_real, on_fake = score_both(critic, real, fake, conditions)
        gradient = critic.input_gradient(torch.lerp(fake, real, share), conditions)
        penalty = (gradient.float().flatten(1).norm(dim=1) - 1).square().mean()
        wasserstein = on_real.mean() - on_fake.mean()
        loss = -wasserstein + self.settings.penalty * penalty
        return loss, {"wasserstein": wasserstein.detach(), "penalty": penalty.detach()}

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor) -> Tensor:
        """Return the generator's term of eq. 2, -E[D(G(z))]."""
        return -critic(fake, conditions).mean()

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """Return Adam with beta_1 = 0, beta_2 = 0.9 (algorithm 1)."""
        return torch.optim.Adam(parameters, lr=rate, betas=(0.0, 0.9), fused=True)

    def diagnose(self, metrics: Mapping[str, float]) -> str | None:
        """Return a complaint if the critic is far from 1-Lipschitz: gradient norms near 2 or 0 instead of 1."""
        if metrics.get("penalty", 0.0) < 1:
            return None
        return (
            f"the critic diverged: its gradient penalty ended at {metrics['penalty']:.2f}, of norms far from 1. Lower "
            "generator.critic_rate, or raise generator.penalty"
        )
