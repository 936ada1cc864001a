"""Train a generator network against a critic: the part that all adversarial generators share.

The critic takes ``critic_steps`` steps for each of the generator's. The kinds differ in what each network minimises,
and how (gan.py, r3gan.py, wgan.py, wgan_gp.py).
"""

import abc
import copy
from collections.abc import Iterable, Mapping
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.compute.device import Fabric, to_device, to_float
from scholars.compute.processes import average_gradients, randn_rows
from scholars.generators.base import Generator, Teacher
from scholars.generators.conv_networks import ConvDecoder, ConvEncoder, ProjectionCritic
from scholars.generators.mlp_networks import LeakyMLP, MLPDecoder
from scholars.generators.network_choice import network_for
from scholars.settings import AdversarialSettings
from scholars.training.loop import Draw, Trainee, gradient_norm, update_ema

# The accuracy above which a critic has won: of one generated image in fifty, or fewer, it says that it looks real.
CRITIC_WON_ACCURACY = 0.98


class Critic(Protocol):
    """Scores how real images look, given the condition that they should show."""

    def __call__(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Return scores ``[B]``, float, of images ``[B, C, H, W]`` with conditions ``[B]``."""

    def input_gradient(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Return the gradient of the scores with respect to the images, ``[B, C, H, W]``."""

    def scores_and_logits(self, images: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores, and logits ``[B, conditions]`` of which condition each image shows."""


class Adversarial(Generator):
    """A generator network for ``[B, C, size, size]`` images, and the critic that it is trained against.

    classifies: whether the critic also predicts which condition an image shows
    """

    def __init__(
        self, settings: AdversarialSettings, channels: int, size: int, conditions: int, classifies: bool = False
    ) -> None:
        super().__init__()
        self.settings = settings
        count = conditions if settings.conditional else 0
        name, width = network_for(settings, size)
        decoder, encoder = (MLPDecoder, LeakyMLP) if name == "mlp" else (ConvDecoder, ConvEncoder)
        self.network: nn.Module = decoder(settings.latent, channels, size, width, count)
        # The critic is part of the generator's state: the next task starts from both.
        self.critic = ProjectionCritic(channels, size, width, count, classifies, encoder)

    @abc.abstractmethod
    def critic_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what the critic minimises, and what else is to be logged.

        real, fake: ``[B, C, H, W]`` in [-1, 1], both of the ``conditions`` ``[B]``
        """

    @abc.abstractmethod
    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor) -> Tensor:
        """Return what the generator network minimises; arguments as for `critic_loss`."""

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """Return the optimizer of one network: Adam with beta_1 = 0.5 (Radford et al. 2016, section 4), by default."""
        return torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999), fused=True)

    def after_critic_step(self, critic: nn.Module) -> None:
        """Do nothing; called after every step of the critic, for kinds that constrain its weights."""

    def sample(self, conditions: Tensor) -> Tensor:
        """Generate one image per condition from noise of standard deviation ``settings.dream_spread``."""
        noise = self.settings.dream_spread * torch.randn(
            len(conditions), self.settings.latent, device=conditions.device
        )
        return cast(Tensor, self.network(noise, conditions))

    def trainee(self, fabric: Fabric, teacher: Teacher) -> Trainee:
        """Return the alternating training of critic and generator."""
        return AdversarialTrainee(fabric, self, teacher)


class AdversarialTrainee:
    """Trains a live generator network against the critic; the generator's own network is the live one's average."""

    def __init__(self, fabric: Fabric, generator: Adversarial, teacher: Teacher) -> None:
        self._fabric, self._generator, self._settings = fabric, generator, generator.settings
        self._dreamt_conditions = teacher.conditions
        to_device(generator, fabric.device)
        # Bare modules under autocast, not Fabric's wrapped ones: a critic has more methods than forward.
        self._live, self._average = copy.deepcopy(generator.network), generator.network
        self._critic = generator.critic
        self._optimizer = generator.optimizer(self._live.parameters(), self._settings.rate)
        self._critic_optimizer = generator.optimizer(self._critic.parameters(), self._settings.critic_rate)
        self.modules: Mapping[str, nn.Module] = {"generator": generator, "live": self._live}
        self.optimizers: Mapping[str, Optimizer] = {"generator": self._optimizer, "critic": self._critic_optimizer}

    def learning_rates(self, progress: float) -> Mapping[str, float]:
        """Let both rates decay linearly to zero."""
        s = self._settings
        return {"generator": s.rate * (1 - progress), "critic": s.critic_rate * (1 - progress)}

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """Take ``critic_steps`` steps of the critic, each on its own batch, then one of the generator on the last.

        The generator is trained on the very images that the critic saw: they are generated once.
        """
        s = self._settings
        self._live.train()
        for remaining in reversed(range(s.critic_steps)):
            batch = draw()
            real, conditions = to_float(batch.inputs), batch.conditions
            with self._fabric.autocast():
                with torch.set_grad_enabled(remaining == 0):
                    fake = self._live(self._noise(conditions), conditions).float()
                loss, values = self._generator.critic_loss(self._critic, real, fake.detach(), conditions)
            self._critic_optimizer.zero_grad()
            self._fabric.backward(loss)
            average_gradients(self._fabric, self._critic)
            critic_norm = gradient_norm(self._critic.parameters())
            self._critic_optimizer.step()
            self._generator.after_critic_step(self._critic)
        self._critic.requires_grad_(False)
        with self._fabric.autocast():
            generator_loss = self._generator.generator_loss(self._critic, real, fake, conditions)
        self._optimizer.zero_grad()
        self._fabric.backward(generator_loss)
        average_gradients(self._fabric, self._live)
        generator_norm = gradient_norm(self._live.parameters())
        self._optimizer.step()
        self._critic.requires_grad_(True)
        update_ema(self._average, self._live, s.ema)
        return {
            "critic_loss": loss.detach(),
            **values,
            "generator_loss": generator_loss.detach(),
            "critic_gradient_norm": critic_norm,
            "generator_gradient_norm": generator_norm,
        }

    def _noise(self, conditions: Tensor) -> Tensor:
        """Draw latent noise ``[B, latent]``, with ``spread`` where the image is a dream.

        Dreams were drawn from wider noise: matched by ordinary noise, they would be widened again by every generation.
        """
        s = self._settings
        noise = randn_rows(len(conditions), s.latent, device=self._fabric.device)
        if s.dream_spread != 1 and self._dreamt_conditions:
            noise = noise * torch.where(conditions < self._dreamt_conditions, s.dream_spread, 1.0)[:, None]
        return noise


def critic_has_won(metrics: Mapping[str, float], what: str, cure: str) -> str | None:
    """Return a complaint if the critic tells nearly all ``what`` apart: the generator then learns nothing from it."""
    accuracy = metrics.get("critic_accuracy", 0.5)
    if accuracy < CRITIC_WON_ACCURACY:
        return None
    return f"the critic has won: it is right about {100 * accuracy:.0f} % of the {what}. {cure}"


def score_both(critic: Critic, real: Tensor, fake: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
    """Return the critic's scores of real and of generated images, in one pass."""
    on_real, on_fake = critic(torch.cat([real, fake]), conditions.repeat(2)).chunk(2)
    return on_real, on_fake
