"""The generative adversarial network (Goodfellow et al. 2014, arXiv 1406.2661).

With D(x) = sigmoid(s(x)), the probability that x is real:

    critic      maximises E[log D(x)] + E[log(1 - D(G(z)))]                                        (eq. 1)
    generator   minimises E[log(1 - D(G(z)))] (minimax), or -E[log D(G(z))] (non-saturating, section 3)
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from scholars.generators.adversarial import Adversarial, Critic, critic_has_won, score_both
from scholars.settings import GANSettings


class GAN(Adversarial):
    """A GAN; unconditional by default."""

    settings: GANSettings

    def critic_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the negative of eq. 1, with log sigmoid(s) = -softplus(-s), which does not overflow."""
        on_real, on_fake = score_both(critic, real, fake, conditions)
        loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        accuracy = ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2
        return loss, {"critic_accuracy": accuracy.detach()}

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor) -> Tensor:
        """Return the minimax or the non-saturating loss, as ``settings.loss`` says."""
        scores = critic(fake, conditions)
        if self.settings.loss == "minimax":
            return -F.softplus(scores).mean()
        return F.softplus(-scores).mean()

    def diagnose(self, metrics: Mapping[str, float]) -> str | None:
        """Return a complaint if the critic has won."""
        return critic_has_won(metrics, "images", "Lower generator.critic_rate")
