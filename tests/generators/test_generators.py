"""What every generator promises, and the equations of each."""

from __future__ import annotations

import pytest
import torch

from scholars.compute import open_fabric, randomness, to_float, to_uint8
from scholars.config import ComputeSettings, FlowSettings, GeneratorSettings, ImageSettings, WGANGPSettings
from scholars.fitting import Session, fit
from scholars.generators import KINDS, Flow, Generator, build_generator
from scholars.generators.wgan_gp import WGANGP, Game
from scholars.replay import Pool

FABRIC = open_fabric(ComputeSettings(precision="32-true"))
KIND = pytest.mark.parametrize("kind", sorted(KINDS))


def settings(kind: str) -> GeneratorSettings:
    return GeneratorSettings.model_validate({"kind": kind, "flow": {"width": 8}, "wgan-gp": {"width": 8, "latent": 16}})


def seeded(generator: Generator, labels: torch.Tensor, seed: int = 0) -> torch.Tensor:
    generator.eval()
    with torch.inference_mode(), randomness(FABRIC):
        torch.manual_seed(seed)
        return generator.sample(labels)


def train(generator: Generator, pool: Pool, batch: int, steps: int) -> None:
    trainee = generator.trainee(FABRIC)
    fit(trainee, lambda: pool.draw(batch), fabric=FABRIC, steps=steps, seed=0, stage="generator", session=Session())


def test_the_list_of_kinds_is_that_of_the_settings() -> None:
    assert list(KINDS) == list(GeneratorSettings().kinds())


@KIND
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (28, 1), (32, 3), (36, 3), (64, 3)])
def test_any_image_shape(kind: str, size: int, channels: int) -> None:
    generator = build_generator(settings(kind), ImageSettings(size=size, channels=channels), classes=3)
    images = seeded(generator, torch.tensor([0, 1, 2, 2, 1]))
    assert images.shape == (5, channels, size, size)
    assert bool(torch.isfinite(images).all())
    pool = Pool(torch.zeros(9, channels, size, size, dtype=torch.uint8), torch.arange(9) % 3, 3)
    train(generator, pool, batch=4, steps=2)
    assert not torch.equal(seeded(generator, torch.tensor([0, 1, 2, 2, 1])), images)


@KIND
def test_sampling_follows_the_seed(kind: str) -> None:
    generator = build_generator(settings(kind), ImageSettings(size=16), classes=3)
    labels = torch.zeros(4, dtype=torch.int64)
    assert torch.equal(seeded(generator, labels, 1), seeded(generator, labels, 1))
    if kind == "wgan-gp":  # an untrained flow's velocity is zero, and its samples are the noise
        assert not torch.equal(seeded(generator, labels, 1), seeded(generator, labels, 2))


@KIND
def test_every_weight_learns(kind: str) -> None:
    """An optimiser built on the wrong network's parameters would leave some weights where they were."""
    generator = build_generator(settings(kind), ImageSettings(size=16, channels=1), classes=3)
    before = {name: value.detach().clone() for name, value in generator.named_parameters()}
    pool = Pool(torch.randint(0, 256, (64, 1, 16, 16), dtype=torch.uint8), torch.arange(64) % 3, 3)
    train(generator, pool, batch=16, steps=6)
    unchanged = [name for name, value in generator.named_parameters() if torch.equal(value, before[name])]
    assert unchanged == []


def test_the_flow_heeds_its_label() -> None:
    """Two classes, one dark, one bright: after a short training each is drawn on demand."""
    torch.manual_seed(0)
    flow = Flow(FlowSettings(width=8, rate=5e-3, ema=0.9, sampling_steps=4), channels=1, size=8, classes=2)
    images = torch.cat([torch.full((8, 1, 8, 8), 40), torch.full((8, 1, 8, 8), 210)]).to(torch.uint8)
    pool = Pool(images, torch.arange(16) // 8, 2)
    train(flow, pool, batch=32, steps=300)
    drawn = to_uint8(seeded(flow, torch.tensor([0] * 20 + [1] * 20))).float().mean((1, 2, 3))
    assert drawn[:20].mean().item() == pytest.approx(40, abs=20)
    assert drawn[20:].mean().item() == pytest.approx(210, abs=20)


def test_the_gradient_penalty_of_a_linear_critic() -> None:
    """D(x) = w.x has the gradient w everywhere: W = w.(mean real - mean fake), penalty = (|w| - 1)^2."""
    model = WGANGP(WGANGPSettings(width=8, latent=4), channels=1, size=8)
    game = Game(FABRIC, model)
    w = torch.full((64,), 0.25)  # |w| = 2

    class Linear(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1) @ w

    game._critic = Linear()
    real, fake = torch.ones(6, 1, 8, 8), torch.zeros(6, 1, 8, 8)
    loss, values = game._critic_loss(real, fake)
    assert values["wasserstein"].item() == pytest.approx(16.0)
    assert values["penalty"].item() == pytest.approx(1.0)
    assert loss.item() == pytest.approx(-16.0 + 10 * 1.0)


def test_the_critic_has_no_batch_norm() -> None:
    critic = WGANGP(WGANGPSettings(), channels=3, size=32).critic
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in critic.modules())


def test_pixels_survive_the_normalisation() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    floats = to_float(images)
    assert floats.min().item() == -1
    assert floats.max().item() == 1
    assert torch.equal(to_uint8(floats), images)
