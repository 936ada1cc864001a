"""Generators: the models that dream. One kind a module, behind one small interface."""

from scholars.errors import InputError
from scholars.generators.base import NO_TEACHER, Generator, Teacher
from scholars.settings import GeneratorSettings, ImageSettings
from scholars.settings.registry import builder

__all__ = ["NO_TEACHER", "Generator", "Teacher", "build_generator"]


def build_generator(settings: GeneratorSettings, image: ImageSettings, conditions: int) -> Generator:
    """Build a generator of ``settings.kind`` for images of ``settings.size`` (else ``image.size``) pixels a side.

    Raises InputError for a kind that is not registered, or that builds something else.
    """
    built = builder("generator", settings.kind)(settings, image.channels, settings.size or image.size, conditions)
    if not isinstance(built, Generator):
        raise InputError(
            f"generator.kind={settings.kind!r} built a {type(built).__name__}: a generator is a scholars.Generator"
        )
    return built
