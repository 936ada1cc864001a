"""Variational autoencoder (Kingma & Welling 2014, arXiv 1312.6114), conditional as in Sohn et al. 2015.

With an encoder q(z | x, y) = N(mu, diag(sigma^2)), sigma = exp(log_variance / 2), and a decoder x^(z, y):

    L = -log p(x | z, y) + KL(q || N(0, I)),      z = mu + sigma * e,  e ~ N(0, I)               (eq. 7 and 10)
    KL = -1/2 sum_j (1 + log sigma_j^2 - mu_j^2 - sigma_j^2)                                      (appendix B)

For D pixels of variance s^2 around what is painted, -log p = D/2 (MSE / s^2 + log s^2) + const. Unless it is set, s^2
is what fits best, the mean squared error itself (Rybkin et al. 2021, arXiv 2006.13202, eq. 5): -log p = D/2 log MSE +
const, and no weight between the two terms is left to choose. Codes then tell much of an image, its class, too, and one
that is drawn seldom agrees with the condition; with a larger s^2 images are vaguer, and show what they were asked for.

Of what the previous VAE knows, its decoder x'(z, y) is learned in the place of its dreams: the code is drawn from the
prior, so that its divergence is nothing, and what is to be painted of it is what the previous decoder paints. A dream
of a dream is then the same picture, where an encoder would have blurred it anew.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute import place, to_float
from scholars.fitting import Descent, Trainee
from scholars.generator_settings import VAESettings
from scholars.generators.base import Generator
from scholars.generators.painting import EMBEDDING, NEGATIVE_SLOPE, Critic, Painter
from scholars.generators.perceptron import Perceptron, PixelPainter
from scholars.replay import Batch
from scholars.team import mean_of_all, noise

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class VAE(Generator):
    """A VAE over ``[B, C, size, size]`` images, conditional unless set otherwise."""

    def __init__(self, settings: VAESettings, channels: int, size: int, conditions: int) -> None:
        super().__init__()
        self.settings, self.size = settings, size
        count = conditions if settings.conditional else 1
        decoder, encoder = (Painter, Encoder) if settings.net == "conv" else (PixelPainter, PixelEncoder)
        self.decoder: nn.Module = decoder(settings.latent, channels, size, settings.width, count)
        self.encoder: nn.Module = encoder(settings.latent, channels, size, settings.width, count)

    def trainee(self, fabric: Fabric) -> Trainee:
        """One descent on the negative evidence bound."""
        teacher = self._teacher()
        if teacher:
            place(teacher.eval(), fabric.device)
        loss = partial(self._loss, teacher, self.past.known if teacher else 0)
        return Descent(fabric, self, loss, rate=self.settings.rate, ema=self.settings.ema)

    def _teacher(self) -> VAE | None:
        """The previous VAE, if its decoder is to be learned: of the same images and codes, each condition by itself."""
        teacher, s = self.past.teacher, self.settings
        if not s.distil or not s.conditional or not isinstance(teacher, VAE) or not teacher.settings.conditional:
            return None
        return teacher if (teacher.size, teacher.settings.latent) == (self.size, s.latent) else None

    def sample(self, conditions: Tensor) -> Tensor:
        """Decode codes drawn from the prior; the mean image of each, without the pixels' noise."""
        z = torch.randn(len(conditions), self.settings.latent, device=conditions.device)
        images: Tensor = self.decoder(z, self._told(conditions))
        return images

    def forward(self, images: Tensor, conditions: Tensor, e: Tensor, known: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Images ``[B, C, H, W]`` in [-1, 1] -> what is painted, and mu and log sigma^2 ``[B, latent]``.

        e: ``[B, latent]``, N(0, I), whence the codes
        known: of these conditions, the first ones, no image is encoded: their codes are e
        """
        told, new = self._told(conditions), conditions >= known
        code = e.new_zeros(len(e), 2 * e.shape[1])
        code[new] = self.encoder(images[new], told[new]).float()
        mean, log_variance = code.chunk(2, dim=1)
        painted: Tensor = self.decoder(mean + torch.exp(log_variance / 2) * e, told).float()
        return painted, mean, log_variance

    def _told(self, conditions: Tensor) -> Tensor:
        return conditions if self.settings.conditional else torch.zeros_like(conditions)

    def _loss(self, teacher: VAE | None, known: int, model: nn.Module, batch: Batch) -> Tensor:
        images, told = to_float(batch.images), batch.conditions
        e = noise(len(images), self.settings.latent, device=images.device)
        painted, mean, log_variance = model(images, told, e, known)
        old = told < known
        if teacher and bool(old.any()):
            with torch.no_grad():
                images[old] = teacher.decoder(e[old], told[old]).float()
        pixels = images[0].numel()
        # Per pixel, so that a learning rate means the same at every size.
        return reconstruction(images, painted, self.settings.variance) + divergence(mean, log_variance) / pixels


class Encoder(nn.Module):
    """Images ``[B, C, H, W]`` and conditions ``[B]`` -> mu and log sigma^2, ``[B, 2 latent]``."""

    def __init__(self, latent: int, channels: int, size: int, width: int, conditions: int) -> None:
        super().__init__()
        self.body = Critic(channels, size, width, outputs=2 * latent + EMBEDDING)
        self.code = nn.Linear(2 * latent + 2 * EMBEDDING, 2 * latent)
        self.condition = nn.Embedding(conditions, EMBEDDING)

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """What is known of the code of each image."""
        features = F.leaky_relu(self.body(images), NEGATIVE_SLOPE)
        return cast(Tensor, self.code(torch.cat([features, self.condition(conditions)], dim=1)))


class PixelEncoder(nn.Module):
    """The same, of pixels that have no neighbours."""

    def __init__(self, latent: int, channels: int, size: int, width: int, conditions: int) -> None:
        super().__init__()
        self.body = Perceptron(channels * size * size, 2 * latent, width, conditions)

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """What is known of the code of each image."""
        return cast(Tensor, self.body(images.flatten(1), conditions))


def reconstruction(images: Tensor, painted: Tensor, variance: float | Literal["fitted"] = "fitted") -> Tensor:
    """-log p(x | z) per pixel, up to a constant: 1/2 log MSE, or MSE / (2 s^2)."""
    if variance == "fitted":
        return 0.5 * mean_of_all(F.mse_loss(painted, images)).clamp_min(1e-6).log()
    return F.mse_loss(painted, images) / (2 * variance)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, I)), in nats, the mean over the batch; arguments ``[B, latent]``."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1).mean()
