"""What every generator promises."""

from __future__ import annotations

import pytest
import torch
from short_training import FABRIC, POOL, seeded, train

from scholars.compute.device import to_uint8
from scholars.generators import NO_TEACHER, build_generator
from scholars.generators.adversarial import Adversarial
from scholars.generators.flow import Flow
from scholars.generators.gan import GAN
from scholars.generators.r3gan import R3GAN
from scholars.generators.vae import VAE
from scholars.generators.wgan import WGAN
from scholars.generators.wgan_gp import WGANGP
from scholars.settings import GENERATORS, GeneratorSettings, ImageSettings
from scholars.training.batches import Pool

KINDS = list(GENERATORS)
KIND = pytest.mark.parametrize("kind", [*sorted(KINDS), "flow mlp", "vae mlp", "r3gan unclassified"])


def settings(kind: str) -> GeneratorSettings:
    """Of a kind, or of one with another network: ``flow mlp``; ``r3gan unclassified`` has no classifier."""
    kind, _, variant = kind.partition(" ")
    small: dict[str, object] = {"width": 8} if kind == "flow" else {"width": 8, "latent": 16}
    if variant:
        small |= {"classify": 0} if variant == "unclassified" else {"net": variant}
    return GENERATORS[kind].model_validate(small)


WATCHED = {
    "flow": {"loss", "gradient_norm"},
    "vae": {"loss", "gradient_norm"},
    "gan": {"critic_accuracy"},
    "r3gan": {"critic_accuracy", "penalty", "classification_loss"},
    "r3gan unclassified": {"critic_accuracy", "penalty"},
    "wgan": {"wasserstein"},
    "wgan-gp": {"wasserstein", "penalty"},
}
ADVERSARIAL = {"critic_loss", "generator_loss", "critic_gradient_norm", "generator_gradient_norm"}


@pytest.mark.parametrize("kind", [*KINDS, "r3gan unclassified"])
def test_what_is_logged_of_every_step(kind: str) -> None:
    """Losses, norms of gradients, what the critic makes of the images, and what keeps it smooth."""
    generator = build_generator(settings(kind), ImageSettings(size=16), conditions=3)
    values = generator.trainee(FABRIC, NO_TEACHER).step(lambda: POOL.draw(8), 0.0)
    assert values.keys() == WATCHED[kind] | (ADVERSARIAL if isinstance(generator, Adversarial) else set())
    assert all(value.shape == () and torch.isfinite(value) and not value.requires_grad for value in values.values())
    assert all(value > 0 for name, value in values.items() if name.endswith("norm"))


def test_every_kind_of_the_settings_can_be_built() -> None:
    built = {type(build_generator(settings(kind), ImageSettings(size=16), conditions=3)) for kind in KINDS}
    assert built == {Flow, R3GAN, WGANGP, WGAN, GAN, VAE}


@KIND
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (28, 1), (32, 3), (36, 3), (64, 3)])
def test_any_image_shape(kind: str, size: int, channels: int) -> None:
    generator = build_generator(settings(kind), ImageSettings(size=size, channels=channels), conditions=3)
    images = seeded(generator, torch.tensor([0, 1, 2, 2, 1]))
    assert images.shape == (5, channels, size, size)
    assert bool(torch.isfinite(images).all())
    pool = Pool(torch.zeros(9, channels, size, size, dtype=torch.uint8), torch.arange(9) % 3, 3, torch.arange(9) % 3)
    train(generator, pool, batch=4, steps=2)
    assert not torch.equal(seeded(generator, torch.tensor([0, 1, 2, 2, 1])), images)


@KIND
def test_sampling_follows_the_seed(kind: str) -> None:
    generator = build_generator(settings(kind), ImageSettings(size=16), conditions=3)
    labels = torch.zeros(4, dtype=torch.int64)
    assert torch.equal(seeded(generator, labels, 1), seeded(generator, labels, 1))
    # An untrained flow's velocity is zero, and its samples are the noise; a perceptron draws the mean image at first.
    if kind not in ("flow", "flow mlp", "vae mlp"):
        assert not torch.equal(seeded(generator, labels, 1), seeded(generator, labels, 2))


@KIND
def test_every_weight_learns(kind: str) -> None:
    """An optimiser built on the wrong network's parameters would leave some weights where they were."""
    generator = build_generator(settings(kind), ImageSettings(size=16), conditions=3)
    before = {name: value.detach().clone() for name, value in generator.named_parameters()}
    train(generator, POOL, batch=16, steps=12)
    unchanged = [name for name, value in generator.named_parameters() if torch.equal(value, before[name])]
    assert unchanged == []


@pytest.mark.parametrize(
    ("kind", "changes", "steps"),
    [
        ("flow", {"net": "unet", "guidance": 1.0, "sampling_steps": 4}, 250),
        ("flow", {"net": "unet", "guidance": 2.0, "sampling_steps": 4}, 250),
        ("flow", {"net": "mlp", "width": 32, "sampling_steps": 4}, 100),
        ("vae", {"latent": 4, "rate": 5e-3}, 100),
        *(
            (kind, {"latent": 4, "rate": 1e-3, "critic_rate": 2e-3}, 150)
            for kind in ("gan", "r3gan", "wgan", "wgan-gp")
        ),
    ],
)
def test_a_conditional_generator_follows_its_condition(kind: str, changes: dict[str, object], steps: int) -> None:
    """After a short training on a class of grey level 40 and one of 210."""
    torch.manual_seed(0)
    chosen = GENERATORS[kind].model_validate({"width": 8, "conditional": True, "ema": 0.9} | changes)
    generator = build_generator(chosen, ImageSettings(size=8, channels=1), conditions=2)
    images = torch.cat([torch.full((8, 1, 8, 8), 40), torch.full((8, 1, 8, 8), 210)]).to(torch.uint8)
    which = torch.arange(16) // 8
    train(generator, Pool(images, which, 2, which), batch=32, steps=steps)
    drawn = to_uint8(seeded(generator, torch.tensor([0] * 20 + [1] * 20))).float().mean((1, 2, 3))
    assert drawn[:20].mean() < 100
    assert drawn[20:].mean() > 150


@pytest.mark.parametrize("kind", KINDS)
def test_an_unconditional_generator_ignores_conditions(kind: str) -> None:
    unconditional = GENERATORS[kind].model_validate({"width": 8, "conditional": False})
    generator = build_generator(unconditional, ImageSettings(size=16), conditions=3)
    train(generator, POOL, batch=16, steps=3)
    zeros, ones = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    assert torch.equal(seeded(generator, zeros), seeded(generator, ones))
