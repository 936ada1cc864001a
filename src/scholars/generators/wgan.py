"""Wasserstein GAN with weight clipping (Arjovsky et al. 2017, arXiv 1701.07875).

critic      maximises E[D(x)] - E[D(G(z))], its weights clipped to [-c, c] after every step    (eq. 3, algorithm 1)
generator   minimises -E[D(G(z))]

Instead of the paper's five critic steps, c = 0.01 and one rate for both: one step, c = 0.03 and twice the generator's
rate for the critic, which learns within minutes (docs/measurements.md).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.generators.adversarial import Adversarial, Critic, score_both
from scholars.settings import WGANSettings


class WGAN(Adversarial):
    """A WGAN; unconditional by default."""

    settings: WGANSettings

    def critic_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the negative of eq. 3's estimate of the Wasserstein distance."""
        on_real, on_fake = score_both(critic, real, fake, conditions)
        wasserstein = on_real.mean() - on_fake.mean()
        return -wasserstein, {"wasserstein": wasserstein.detach()}

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor) -> Tensor:
        """Return the generator's term of the distance, -E[D(G(z))]."""
        return -critic(fake, conditions).mean()

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """Return RMSProp: training with momentum is unstable (section 4)."""
        return torch.optim.RMSprop(parameters, lr=rate)

    @torch.no_grad()
    def after_critic_step(self, critic: nn.Module) -> None:
        """Clip the weights, so that the critic stays Lipschitz."""
        for parameter in critic.parameters():
            parameter.clamp_(-self.settings.clip, self.settings.clip)
