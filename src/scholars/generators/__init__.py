"""Generators: what a scholar dreams with. One concept per module behind one small interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scholars.errors import InputError
from scholars.generator_settings import GeneratorSettings
from scholars.generators.base import Generator
from scholars.generators.flow import Flow
from scholars.generators.gan import GAN
from scholars.generators.r3gan import R3GAN
from scholars.generators.vae import VAE
from scholars.generators.wgan import WGAN
from scholars.generators.wgan_gp import WGANGP
from scholars.registry import builder
from scholars.settings import ImageSettings

__all__ = ["GAN", "R3GAN", "VAE", "WGAN", "WGANGP", "Flow", "Generator", "build_generator"]


# Settings of the kind, channels, pixels a side, conditions -> a new generator.
Build = Callable[[Any, int, int, int], Generator]
KINDS: Mapping[str, Build] = {"flow": Flow, "r3gan": R3GAN, "wgan-gp": WGANGP, "wgan": WGAN, "gan": GAN, "vae": VAE}


def build_generator(settings: GeneratorSettings, image: ImageSettings, conditions: int) -> Generator:
    """A new generator of ``settings.kind`` for images of ``settings.size`` (else ``image.size``) pixels a side."""
    build = KINDS.get(settings.kind) or builder("generator", settings.kind, KINDS)
    built = build(settings.chosen, image.channels, settings.size or image.size, conditions)
    if not isinstance(built, Generator):
        raise InputError(
            f"generator.kind={settings.kind!r} built a {type(built).__name__}: a generator is a scholars.Generator"
        )
    return built
