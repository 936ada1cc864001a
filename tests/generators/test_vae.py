"""The two terms of the variational bound, and what a VAE learns from its teacher."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from short_training import FABRIC, NEW, OLD, white

from scholars.generators import NO_TEACHER, Teacher
from scholars.generators.vae import VAE, kl_divergence, reconstruction_loss
from scholars.settings import VAESettings
from scholars.training.batches import Pool


def test_the_divergence_and_the_reconstruction_by_hand() -> None:
    """KL(N(1, 4) || N(0, 1)) = (4 + 1 - 1 - log 4) / 2; the error of 0.5 everywhere has the log MSE log 0.25."""
    mean, log_variance = torch.tensor([[1.0], [1.0]]), torch.full((2, 1), 4.0).log()
    assert kl_divergence(mean, log_variance).item() == pytest.approx((4 - math.log(4)) / 2)
    images = torch.zeros(2, 1, 8, 8)
    assert reconstruction_loss(images, images + 0.5).item() == pytest.approx(0.5 * math.log(0.25))
    assert reconstruction_loss(images, images + 0.5, 0.1).item() == pytest.approx(0.25 / 0.2)


class FixedEncoder(torch.nn.Module):
    """An encoder that says mu = 1 and log sigma^2 = log 4 of every image."""

    def __init__(self) -> None:
        super().__init__()
        self.code = torch.nn.Parameter(torch.tensor([1.0, math.log(4)]))

    def forward(self, images: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        return self.code.repeat_interleave(64).expand(len(images), 128)


class ShowsCode(torch.nn.Module):
    """A decoder that shows its code."""

    def forward(self, codes: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        return codes.view(len(codes), 1, 8, 8)


def test_a_vae_draws_its_codes_and_weighs_its_two_terms_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """z = 1 + 2 e; of 64 pixels the error squared over 2 s^2, and 1/64 of 64 divergences from N(1, 4)."""
    vae = VAE(VAESettings(width=8, latent=64, variance=0.5), channels=1, size=8, conditions=2)
    vae.encoder, vae.decoder = FixedEncoder(), ShowsCode()
    e = torch.randn(4, 64)
    images = torch.zeros(4, 1, 8, 8)
    decoded, mean, log_variance = vae(images, torch.tensor([0, 1, 0, 1]), e)
    assert torch.allclose(decoded.flatten(1), 1 + 2 * e)
    assert (mean.unique().tolist(), log_variance.unique().tolist()) == ([1.0], [pytest.approx(math.log(4))])
    monkeypatch.setattr("scholars.generators.vae.randn_rows", lambda *_, device: e)
    white = Pool(torch.full((4, 1, 8, 8), 255, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64), 2).draw(4)
    loss = vae.trainee(FABRIC, NO_TEACHER).step(lambda: white, 0.0)["loss"].item()
    assert loss == pytest.approx(float((2 * e).square().mean()) + (4 - math.log(4)) / 2, rel=1e-5)


@pytest.mark.parametrize("net", ["conv", "mlp"])
def test_a_vae_learns_the_images_of_its_teachers_decoder(net: str) -> None:
    """White images of known conditions change nothing in a VAE that decodes as its teacher does: none is encoded."""
    vae = VAE(VAESettings(net=net, width=8, latent=4, variance=0.5), channels=1, size=8, conditions=3)
    teacher = copy.deepcopy(vae)
    # Both alike, whatever a batch norm makes of the batch: the teacher's is never in training.
    vae.decoder, teacher.decoder = Grey(0.3), Grey(0.3)

    def loss(conditions: torch.Tensor) -> float:
        return float(vae.trainee(FABRIC, Teacher(teacher, 2)).step(lambda: white(conditions), 0.0)["loss"])

    assert loss(OLD) == 0
    assert loss(NEW) >= (1 - 0.3) ** 2  # (1 - 0.3)^2 / (2 * 0.5), and a divergence
    assert 0.2 < loss(torch.cat([OLD, NEW])) < loss(NEW)
    teacher.decoder = Grey(-0.2)
    assert loss(OLD) == pytest.approx(0.25, abs=0.05)  # (0.3 + 0.2)^2 / (2 * 0.5)
    teacher.settings = teacher.settings.model_copy(update={"latent": 5})
    assert loss(OLD) > 0.4  # as if it were new; the decoded grey has come nearer to white by then
    teacher.settings = vae.settings
    vae.settings = vae.settings.model_copy(update={"distil": False})
    assert loss(OLD) > 0.4


class Grey(torch.nn.Module):
    """Decodes one grey."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))

    def forward(self, noise: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(noise), 1, 8, 8)
