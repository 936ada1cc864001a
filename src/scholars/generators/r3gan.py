"""R3GAN: a relativistic GAN with gradient penalties on real and generated images (Huang et al. 2024, arXiv 2501.05441).

Real images x and generated ones G(z) of the same conditions are scored in pairs:

    critic      minimises E[f(D(G(z)) - D(x))] + gamma/2 E[|grad_x D(x)|^2] + gamma/2 E[|grad_x D(G(z))|^2]
    generator   minimises E[f(D(x) - D(G(z)))],                     f(t) = log(1 + e^t)

The critic's loss is eq. 2 with the paper's sign turned, and the penalties of eq. 3-4, each estimated from a part of
the batch. The generator's is not the minimax loss but the non-saturating one, as in the paper's own code.

A plain GAN with ten conditions collapses to one image of each: nothing in its losses makes the images of a class
differ. Here a generated image is compared with a real one of its own class, and the penalties keep the critic from
outrunning the generator (docs/measurements.md).

Where a class has few images, many generated ones do not show their condition. With ``classify`` = w the critic also
learns to predict the condition c of real images, and the generator to have its condition predicted (Odena et al. 2017,
arXiv 1610.09585, eq. 3; the critic's term on real images alone, since what a generated one shows is not known):

    critic      + w E[-log C(c | x)],               generator   + w E[-log C(c | G(z, c))]
"""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.generators.adversarial import Adversarial, Critic, critic_has_won, score_both
from scholars.settings import R3GANSettings
from scholars.training.loop import gradient_norm

# A gradient this many times longer than usual is a jump from which a critic may not recover (docs/measurements.md).
MAX_GRAD_NORM_RATIO = 5.0


class R3GAN(Adversarial):
    """An R3GAN; conditional by default."""

    settings: R3GANSettings

    def __init__(self, settings: R3GANSettings, channels: int, size: int, conditions: int) -> None:
        super().__init__(settings, channels, size, conditions, classifies=settings.classification > 0)

    def critic_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return eq. 2 with the penalties, which need passes of their own."""
        if self.settings.classification:
            scores, logits = critic.scores_and_logits(torch.cat([real, fake]), conditions.repeat(2))
            on_real, on_fake = scores.chunk(2)
        else:
            on_real, on_fake = score_both(critic, real, fake, conditions)
        # Evenly spread over the batch, whose first images are new and whose last ones dreams.
        count = max(1, round(self.settings.penalised * len(real)))
        rows = torch.arange(count) * len(real) // count
        gradient = critic.input_gradient(torch.cat([real[rows], fake[rows]]), conditions[rows].repeat(2))
        # The mean over real and generated images is half of the sum of both expectations.
        penalty = 2 * gradient.float().flatten(1).square().sum(1).mean()
        loss = F.softplus(on_fake - on_real).mean() + self.settings.penalty / 2 * penalty
        values = {"critic_accuracy": (on_real > on_fake).float().mean(), "penalty": penalty}
        if self.settings.classification:
            values["classification_loss"] = F.cross_entropy(logits[: len(real)], conditions)
            loss = loss + self.settings.classification * values["classification_loss"]
        return loss, {name: value.detach() for name, value in values.items()}

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor) -> Tensor:
        """Return the non-saturating relativistic loss, with the classifier's term if there is one."""
        with torch.no_grad():
            on_real = critic(real, conditions)
        if not self.settings.classification:
            return F.softplus(on_real - critic(fake, conditions)).mean()
        on_fake, logits = critic.scores_and_logits(fake, conditions)
        return F.softplus(on_real - on_fake).mean() + self.settings.classification * F.cross_entropy(logits, conditions)

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """Return Adam whose gradients are clipped: near the equilibrium they grow small, and a large one is a jump."""
        adam = super().optimizer(parameters, rate)
        adam.register_step_pre_hook(clip_to_usual_norm)
        return adam

    def diagnose(self, metrics: Mapping[str, float]) -> str | None:
        """Return a complaint if the critic has won."""
        return critic_has_won(metrics, "pairs", "Raise generator.penalty, or lower generator.critic_rate")


@torch.no_grad()
def clip_to_usual_norm(adam: Optimizer, *_: object) -> None:
    """Before a step of Adam, scale all its gradients g down to ``MAX_GRAD_NORM_RATIO`` times their usual norm.

    The second moment v_t is a running mean of g^2, so the usual norm is sqrt(sum v_t / (1 - beta_2^t)) (Kingma & Ba
    2015, algorithm 1). With beta_2 = 0.999 Adam itself takes a thousand steps to notice that gradients have another
    size, and until then goes up to max_k (1 - beta_1^k) / sqrt(1 - beta_2^k) = 17 times as far as its rate says.
    """
    for group in adam.param_groups:
        moved = [p for p in group["params"] if p.grad is not None and adam.state[p]]
        if not moved:
            continue
        steps = adam.state[moved[0]]["step"]
        total = torch.stack([adam.state[p]["exp_avg_sq"].sum() for p in moved]).sum()
        usual = (total / (1 - group["betas"][1] ** steps.to(total.device))).sqrt()
        # No scaling where there never was a gradient: 0 / 0 is not a number.
        factor = torch.where(usual > 0, MAX_GRAD_NORM_RATIO * usual / gradient_norm(moved), 1.0).clamp(max=1.0)
        for parameter in moved:
            assert parameter.grad is not None
            parameter.grad.mul_(factor)
