"""Generators: what a scholar dreams with. One concept per module behind one small interface."""

from __future__ import annotations

from scholars.errors import InputError
from scholars.generator_settings import GeneratorSettings
from scholars.generators.base import Generator
from scholars.generators.flow import Flow
from scholars.generators.gan import GAN
from scholars.generators.vae import VAE
from scholars.generators.wgan import WGAN
from scholars.generators.wgan_gp import WGANGP
from scholars.registry import builder
from scholars.settings import ImageSettings

__all__ = ["GAN", "VAE", "WGAN", "WGANGP", "Flow", "Generator", "build_generator"]


def build_generator(settings: GeneratorSettings, image: ImageSettings, conditions: int) -> Generator:
    """A new generator of ``settings.kind`` for images of ``settings.size`` (else ``image.size``) pixels a side."""
    size = settings.size or image.size
    match settings.kind:
        case "flow":
            return Flow(settings.flow, image.channels, size, conditions)
        case "vae":
            return VAE(settings.vae, image.channels, size, conditions)
        case "wgan-gp":
            return WGANGP(settings.wgan_gp, image.channels, size, conditions)
        case "wgan":
            return WGAN(settings.wgan, image.channels, size, conditions)
        case "gan":
            return GAN(settings.gan, image.channels, size, conditions)
    built = builder("generator", settings.kind, settings.kinds())(settings.own, image.channels, size, conditions)
    if not isinstance(built, Generator):
        raise InputError(
            f"generator.kind={settings.kind!r} built a {type(built).__name__}: a generator is a scholars.Generator"
        )
    return built
