"""Variational autoencoder (Kingma & Welling 2014, arXiv 1312.6114), conditional as in Sohn et al. 2015.

With an encoder q(z | x, y) = N(mu, diag(sigma^2)), sigma = exp(log_variance / 2), and a decoder x^(z, y):

    L = -log p(x | z, y) + KL(q || N(0, I)),      z = mu + sigma * e,  e ~ N(0, I)               (eq. 7 and 10)
    KL = -1/2 sum_j (1 + log sigma_j^2 - mu_j^2 - sigma_j^2)                                      (appendix B)

For D pixels of variance s^2 around the decoded image, -log p = D/2 (MSE / s^2 + log s^2) + const. Unless it is set, s^2
is what fits best, the mean squared error itself (Rybkin et al. 2021, arXiv 2006.13202, eq. 5): -log p = D/2 log MSE +
const, and there is no weight between the two terms to choose. Codes then hold much of an image, its class included, and
a code from the prior often disagrees with the condition; with a larger s^2 images are blurrier and agree more often.

Distillation: of the previous VAE, its decoder x'(z, y) is learned instead of its dreams. The code is drawn from the
prior, so its KL term is zero, and the target is what the previous decoder makes of it. A dream of a dream is then the
same image, where an encoder would have blurred it again.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute.device import Fabric, to_device, to_float
from scholars.compute.processes import all_reduce_mean, randn_rows
from scholars.generators.base import Generator, Teacher
from scholars.generators.conv_networks import EMBEDDING_DIM, NEGATIVE_SLOPE, ConvDecoder, ConvEncoder
from scholars.generators.mlp_networks import ConditionalMLP, MLPDecoder
from scholars.generators.network_choice import network_for
from scholars.settings import VAESettings
from scholars.training.batches import Batch
from scholars.training.loop import Descent, Trainee


class VAE(Generator):
    """A VAE over ``[B, C, size, size]`` images; conditional by default."""

    def __init__(self, settings: VAESettings, channels: int, size: int, conditions: int) -> None:
        super().__init__()
        self.settings, self.size = settings, size
        count = conditions if settings.conditional else 1
        name, width = network_for(settings, size)
        decoder, encoder = (MLPDecoder, MLPEncoder) if name == "mlp" else (ConvDecoder, ConditionalConvEncoder)
        self.decoder: nn.Module = decoder(settings.latent, channels, size, width, count)
        self.encoder: nn.Module = encoder(settings.latent, channels, size, width, count)

    def trainee(self, fabric: Fabric, teacher: Teacher) -> Trainee:
        """Return gradient descent on the negative evidence lower bound."""
        distilled = self._distilled(teacher.generator)
        if distilled:
            to_device(distilled.eval(), fabric.device)
        loss = partial(self._loss, distilled, teacher.conditions if distilled else 0)
        return Descent(fabric, self, loss, rate=self.settings.rate, ema=self.settings.ema)

    def _distilled(self, teacher: Generator | None) -> VAE | None:
        """Return the teacher, if its decoder can be learned: a conditional VAE of equal image size and code length."""
        s = self.settings
        if not s.distil or not s.conditional or not isinstance(teacher, VAE) or not teacher.settings.conditional:
            return None
        return teacher if (teacher.size, teacher.settings.latent) == (self.size, s.latent) else None

    def sample(self, conditions: Tensor) -> Tensor:
        """Decode codes from the prior to the mean image of each, without the pixels' noise."""
        z = torch.randn(len(conditions), self.settings.latent, device=conditions.device)
        return cast(Tensor, self.decoder(z, self._used(conditions)))

    def forward(self, images: Tensor, conditions: Tensor, e: Tensor, known: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Encode and decode images ``[B, C, H, W]`` in [-1, 1]; return these, and mu and log sigma^2 ``[B, latent]``.

        e: ``[B, latent]``, N(0, I), for the codes
        known: for the first ``known`` conditions no image is encoded: their codes are e
        """
        conditions, new = self._used(conditions), conditions >= known
        code = e.new_zeros(len(e), 2 * e.shape[1])
        code[new] = self.encoder(images[new], conditions[new]).float()
        mean, log_variance = code.chunk(2, dim=1)
        decoded = cast(Tensor, self.decoder(mean + torch.exp(log_variance / 2) * e, conditions))
        return decoded.float(), mean, log_variance

    def _used(self, conditions: Tensor) -> Tensor:
        return conditions if self.settings.conditional else torch.zeros_like(conditions)

    def _loss(self, teacher: VAE | None, known: int, model: nn.Module, batch: Batch) -> Tensor:
        images, conditions = to_float(batch.inputs), batch.conditions
        e = randn_rows(len(images), self.settings.latent, device=images.device)
        decoded, mean, log_variance = model(images, conditions, e, known)
        dreamt = conditions < known
        if teacher and bool(dreamt.any()):
            with torch.no_grad():
                # Not in place: floats of a batch may be the batch's own.
                images = images.index_put((dreamt,), teacher.decoder(e[dreamt], conditions[dreamt]).float())
        pixels = images[0].numel()
        # Per pixel, so that a learning rate means the same at every size.
        return reconstruction_loss(images, decoded, self.settings.variance) + kl_divergence(mean, log_variance) / pixels


class ConditionalConvEncoder(nn.Module):
    """Images ``[B, C, H, W]`` and conditions ``[B]`` -> mu and log sigma^2, ``[B, 2 latent]``, by convolutions."""

    def __init__(self, latent: int, channels: int, size: int, width: int, conditions: int) -> None:
        super().__init__()
        self.body = ConvEncoder(channels, size, width, outputs=2 * latent + EMBEDDING_DIM)
        self.code = nn.Linear(2 * latent + 2 * EMBEDDING_DIM, 2 * latent)
        self.condition = nn.Embedding(conditions, EMBEDDING_DIM)

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Return the posterior parameters mu and log sigma^2."""
        features = F.leaky_relu(self.body(images), NEGATIVE_SLOPE)
        return cast(Tensor, self.code(torch.cat([features, self.condition(conditions)], dim=1)))


class MLPEncoder(nn.Module):
    """Images ``[B, C, H, W]`` and conditions ``[B]`` -> mu and log sigma^2, ``[B, 2 latent]``, by an MLP."""

    def __init__(self, latent: int, channels: int, size: int, width: int, conditions: int) -> None:
        super().__init__()
        self.body = ConditionalMLP(channels * size * size, 2 * latent, width, conditions)

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Return the posterior parameters mu and log sigma^2."""
        return cast(Tensor, self.body(images.flatten(1), conditions))


def reconstruction_loss(images: Tensor, decoded: Tensor, variance: float | Literal["fitted"] = "fitted") -> Tensor:
    """Return -log p(x | z) per pixel, up to a constant: 1/2 log MSE, or MSE / (2 s^2)."""
    if variance == "fitted":
        return 0.5 * all_reduce_mean(F.mse_loss(decoded, images)).clamp_min(1e-6).log()
    return F.mse_loss(decoded, images) / (2 * variance)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) || N(0, I)) in nats, the mean over the batch; arguments ``[B, latent]``."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1).mean()
