"""R3GAN, the relativistic GAN with penalties on real and on painted images (Huang et al. 2024, arXiv 2501.05441).

Real images x and painted ones G(z), both of what the critic is told, are judged in pairs:

    critic     minimises E[f(D(G(z)) - D(x))] + gamma/2 E[|grad_x D(x)|^2] + gamma/2 E[|grad_x D(G(z))|^2]
    painter    minimises E[f(D(x) - D(G(z)))],                     f(t) = log(1 + e^t)                    (eq. 2-4)

A plain GAN that is told ten classes at once ends with one picture of each: nothing in its losses makes a class's
pictures differ. Here a painted image is measured against a real one of its own class, and the penalties keep the
critic from outrunning the painter (docs/measurements.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.generator_settings import R3GANSettings
from scholars.generators.adversarial import Adversarial, Judge, critic_has_won, score_both


class R3GAN(Adversarial):
    """An R3GAN, told what to paint unless set otherwise."""

    settings: R3GANSettings

    def critic_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 2 with the penalties, which are estimated from a part of the batch: they need passes of their own."""
        on_real, on_fake = score_both(judge, real, fake, told)
        # Evenly spread over the batch, whose first images are new and whose last ones dreams.
        few = max(1, round(self.settings.penalised * len(real)))
        some = torch.arange(few) * len(real) // few
        gradient = judge.slope(torch.cat([real[some], fake[some]]), told[some].repeat(2))
        # The mean over real and painted images is half of the sum of both expectations.
        penalty = 2 * gradient.float().flatten(1).square().sum(1).mean()
        loss = F.softplus(on_fake - on_real).mean() + self.settings.penalty / 2 * penalty
        accuracy = (on_real > on_fake).float().mean()
        return loss, {"critic_accuracy": accuracy.detach(), "penalty": penalty.detach()}

    def painter_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> Tensor:
        """The same game from the other side."""
        with torch.no_grad():
            on_real = judge(real, told)
        return F.softplus(on_real - judge(fake, told)).mean()

    def diverged(self, metrics: Mapping[str, float]) -> str | None:
        """The critic has won."""
        return critic_has_won(metrics, "pairs", "Raise generator.r3gan.penalty, or lower generator.r3gan.critic_rate")
