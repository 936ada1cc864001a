"""Generators: what a scholar dreams with. One concept per module behind one small interface."""

from __future__ import annotations

from scholars.config import GeneratorSettings, ImageSettings
from scholars.generators.base import Generator
from scholars.generators.flow import Flow
from scholars.generators.wgan_gp import WGANGP

__all__ = ["KINDS", "WGANGP", "Flow", "Generator", "build_generator"]

KINDS: dict[str, type[Generator]] = {"flow": Flow, "wgan-gp": WGANGP}
"""Every kind of generator by the name it has in the settings."""


def build_generator(settings: GeneratorSettings, image: ImageSettings, classes: int) -> Generator:
    """A new generator of ``settings.kind`` for images of ``settings.size`` (else ``image.size``) pixels a side."""
    size = settings.size or image.size
    if settings.kind == "flow":
        return Flow(settings.flow, image.channels, size, classes)
    return WGANGP(settings.wgan_gp, image.channels, size)
