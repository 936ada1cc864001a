"""The generative adversarial network (Goodfellow et al. 2014, arXiv 1406.2661).

With D(x) = sigmoid(s(x)), the probability that x is real:

    critic     maximises E[log D(x)] + E[log(1 - D(G(z)))]                                        (eq. 1)
    painter    minimises E[log(1 - D(G(z)))] (minimax), or -E[log D(G(z))] (non-saturating, section 3)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from scholars.generator_settings import GANSettings
from scholars.generators.adversarial import Adversarial, Judge, critic_has_won, score_both


class GAN(Adversarial):
    """A GAN that paints what it pleases unless set otherwise."""

    settings: GANSettings

    def critic_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The negative of eq. 1; log sigmoid(s) = -softplus(-s) does not overflow."""
        on_real, on_fake = score_both(judge, real, fake, told)
        loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        accuracy = ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2
        return loss, {"critic_accuracy": accuracy.detach()}

    def painter_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> Tensor:
        """By ``settings.loss``."""
        scores = judge(fake, told)
        if self.settings.loss == "minimax":
            return -F.softplus(scores).mean()
        return F.softplus(-scores).mean()

    def diverged(self, metrics: Mapping[str, float]) -> str | None:
        """The critic has won."""
        return critic_has_won(metrics, "images", "Lower generator.gan.critic_rate")
