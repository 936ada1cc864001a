"""The interface of all generators: a module that draws images and says how it is trained."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from scholars.compute.device import Fabric
from scholars.errors import InputError
from scholars.settings import GeneratorSettings
from scholars.settings.registry import builder
from scholars.training.loop import Trainee


class Teacher(NamedTuple):
    """The previous generator, whose dreams stand for the earlier tasks while the next one is trained.

    generator: None for a first task, and where the earlier scholar has none
    conditions: how many conditions are learned from dreams; they come first
    """

    generator: Generator | None = None
    conditions: int = 0


NO_TEACHER = Teacher()


class Generator(nn.Module, abc.ABC):
    """Draws images, or features of images, like those that it was trained on.

    It is built for one image shape and a number of conditions: the (task, class) pairs that a scholar can ask it for,
    each learned from the images of that class in that task. `fit` trains it through its `trainee`; then it is sampled::

        generator = Flow(settings, channels=3, size=32, conditions=10)
        fit(generator.trainee(fabric, NO_TEACHER), draw, ...)
        images = generator.sample(conditions)
    """

    @abc.abstractmethod
    def sample(self, conditions: Tensor) -> Tensor:
        """Draw one image per condition, under torch's global generator; unconditional generators use only the number.

        conditions: ``[B]`` int64, on the generator's device. Returns ``[B, C, H, W]`` float, about in [-1, 1].
        """

    @abc.abstractmethod
    def trainee(self, fabric: Fabric, teacher: Teacher) -> Trainee:
        """Return what `fit` trains. After training, this generator holds the weights to sample with.

        teacher: the previous generator, for those that learn from more of it than its dreams
        """

    def diagnose(self, metrics: Mapping[str, float]) -> str | None:
        """Return what went wrong in training and its cure, judged by the last ``metrics``; None if nothing did."""
        return None


def build_kind(settings: GeneratorSettings, channels: int, size: int, conditions: int) -> Generator:
    """Build a generator of ``settings.kind`` for ``[channels, size, size]`` images.

    Raises InputError for a kind that is not registered, or that builds something else.
    """
    built = builder("generator", settings.kind)(settings, channels, size, conditions)
    if not isinstance(built, Generator):
        raise InputError(
            f"generator.kind={settings.kind!r} built a {type(built).__name__}: a generator is a scholars.Generator"
        )
    return built
