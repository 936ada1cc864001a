"""Generators: the models that dream. One kind a module, behind one small interface."""

from scholars.generators.base import NO_TEACHER, Generator, Teacher, build_kind
from scholars.settings import GeneratorSettings, ImageSettings

__all__ = ["NO_TEACHER", "Generator", "Teacher", "build_generator"]


def build_generator(settings: GeneratorSettings, image: ImageSettings, conditions: int) -> Generator:
    """Build a generator of ``settings.kind`` for images of ``settings.size`` (else ``image.size``) pixels a side.

    Raises InputError for a kind that is not registered, or that builds something else.
    """
    return build_kind(settings, image.channels, settings.size or image.size, conditions)
