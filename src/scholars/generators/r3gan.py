"""R3GAN, the relativistic GAN with penalties on real and on painted images (Huang et al. 2024, arXiv 2501.05441).

Real images x and painted ones G(z), both of what the critic is told, are judged in pairs:

    critic     minimises E[f(D(G(z)) - D(x))] + gamma/2 E[|grad_x D(x)|^2] + gamma/2 E[|grad_x D(G(z))|^2]
    painter    minimises E[f(D(x) - D(G(z)))],                     f(t) = log(1 + e^t)

The critic's is eq. 2, whose sign the paper turns, with the penalties of eq. 3-4, each estimated from a part of the
batch. The painter's is not its minimax game but the non-saturating one, as in the paper's own code.

A plain GAN that is told ten classes at once ends with one picture of each: nothing in its losses makes a class's
pictures differ. Here a painted image is measured against a real one of its own class, and the penalties keep the
critic from outrunning the painter (docs/measurements.md).

Where a class has few images, many a painted one does not show what it was to show. With ``classify`` = w the critic
also learns which condition c a real image shows, and the painter to be read as what it was told (Odena et al. 2017,
arXiv 1610.09585, eq. 3; of real images alone, for what a painted one shows is not known):

    critic     + w E[-log C(c | x)],               painter     + w E[-log C(c | G(z, c))]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.fitting import gradient_norm
from scholars.generator_settings import R3GANSettings
from scholars.generators.adversarial import Adversarial, Judge, critic_has_won, score_both

# A gradient so many times as long as usual is a jump that a critic may never land from (docs/measurements.md).
LONGEST = 5.0


class R3GAN(Adversarial):
    """An R3GAN, told what to paint unless set otherwise."""

    settings: R3GANSettings

    def __init__(self, settings: R3GANSettings, channels: int, size: int, conditions: int) -> None:
        super().__init__(settings, channels, size, conditions, classifies=settings.classify > 0)

    def critic_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 2 with the penalties, which need passes of their own."""
        if self.settings.classify:
            scores, logits = judge.read(torch.cat([real, fake]), told.repeat(2))
            on_real, on_fake = scores.chunk(2)
        else:
            on_real, on_fake = score_both(judge, real, fake, told)
        # Evenly spread over the batch, whose first images are new and whose last ones dreams.
        few = max(1, round(self.settings.penalised * len(real)))
        some = torch.arange(few) * len(real) // few
        gradient = judge.slope(torch.cat([real[some], fake[some]]), told[some].repeat(2))
        # The mean over real and painted images is half of the sum of both expectations.
        penalty = 2 * gradient.float().flatten(1).square().sum(1).mean()
        loss = F.softplus(on_fake - on_real).mean() + self.settings.penalty / 2 * penalty
        values = {"critic_accuracy": (on_real > on_fake).float().mean(), "penalty": penalty}
        if self.settings.classify:
            values["classification_loss"] = F.cross_entropy(logits[: len(real)], told)
            loss = loss + self.settings.classify * values["classification_loss"]
        return loss, {name: value.detach() for name, value in values.items()}

    def painter_loss(self, judge: Judge, real: Tensor, fake: Tensor, told: Tensor) -> Tensor:
        """The same game from the other side."""
        with torch.no_grad():
            on_real = judge(real, told)
        if not self.settings.classify:
            return F.softplus(on_real - judge(fake, told)).mean()
        on_fake, logits = judge.read(fake, told)
        return F.softplus(on_real - on_fake).mean() + self.settings.classify * F.cross_entropy(logits, told)

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """Adam, whose gradients are shortened: between equals they grow small, and one of another size is a jump."""
        adam = super().optimizer(parameters, rate)
        adam.register_step_pre_hook(shorten)
        return adam

    def diverged(self, metrics: Mapping[str, float]) -> str | None:
        """The critic has won."""
        return critic_has_won(metrics, "pairs", "Raise generator.r3gan.penalty, or lower generator.r3gan.critic_rate")


@torch.no_grad()
def shorten(adam: Optimizer, *_: object) -> None:
    """Before a step of Adam: scale all its gradients g down to ``LONGEST`` times their usual length.

    The second moment v_t is a running mean of g^2, so that length is sqrt(sum v_t / (1 - beta_2^t)) (Kingma & Ba 2015,
    algorithm 1). Adam itself takes a thousand steps to notice that gradients have another size, when beta_2 = 0.999,
    and until then goes up to max_k (1 - beta_1^k) / sqrt(1 - beta_2^k) = 17 times as far as its rate says.
    """
    for group in adam.param_groups:
        moved = [p for p in group["params"] if p.grad is not None and adam.state[p]]
        if not moved:
            continue
        taken = adam.state[moved[0]]["step"]
        total = torch.stack([adam.state[p]["exp_avg_sq"].sum() for p in moved]).sum()
        usual = (total / (1 - group["betas"][1] ** taken.to(total.device))).sqrt()
        # No factor for what never had a gradient: 0 / 0 is no number.
        factor = torch.where(usual > 0, LONGEST * usual / gradient_norm(moved), 1.0).clamp(max=1.0)
        torch._foreach_mul_([p.grad for p in moved], factor)
