"""Generators: the models that dream. One kind a module, behind one small interface."""

from collections.abc import Mapping

from torch import Tensor

from scholars.generators.base import NO_TEACHER, Generator, Teacher, build_kind
from scholars.generators.features import FeatureGenerator
from scholars.generators.mixture import Mixture
from scholars.settings import GeneratorSettings, ImageSettings, MixtureSettings, Settings
from scholars.storage.weights import build_from_weights

__all__ = ["NO_TEACHER", "FeatureGenerator", "Generator", "Mixture", "Teacher", "build_generator", "read_generator"]


def build_generator(
    settings: GeneratorSettings, image: ImageSettings, conditions: int, features: int | None = None
) -> Generator:
    """Build a generator of ``settings.kind`` for images of ``settings.size`` (else ``image.size``) pixels a side.

    features: D, for a generator of features; None for one of images

    Raises InputError for a kind that is not registered, or that builds something else.
    """
    if features is not None:
        return FeatureGenerator(settings, features, conditions)
    return build_kind(settings, image.channels, settings.size or image.size, conditions)


def read_generator(
    settings: Settings, conditions: int, features: int | None, weights: Mapping[str, Tensor], where: str
) -> Generator:
    """Build the generator that ``settings`` describe, with the weights of a file. Raises InputError where they differ.

    features: as for `build_generator`
    """
    if isinstance(settings.generator, MixtureSettings):
        return Mixture.from_tensors(weights, conditions, features or 0, where)
    chosen = settings.generator
    return build_from_weights(lambda: build_generator(chosen, settings.image, conditions, features), weights, where)
