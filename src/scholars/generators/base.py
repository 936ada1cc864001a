"""What every generator is: a module that draws images, and knows how it is trained."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from scholars.fitting import Trainee

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Past(NamedTuple):
    """What a generator goes on from.

    known: how many of its conditions, the first ones, it learns from dreams
    teacher: the generator whose dreams they are; None for a first task
    """

    known: int = 0
    teacher: Generator | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Past:
        # The copy that a moving average is of goes on from the same teacher, who is not to be in memory twice.
        return self


class Generator(nn.Module, abc.ABC):
    """Draws images from what it learned.

    A generator is built for one image shape and a number of conditions - the (task, class) pairs that a scholar can ask
    it for, each learned from the images of that class in that task -, trained by `scholars.fitting.fit` through its
    `trainee`, and then sampled::

        generator = Flow(settings, channels=3, size=32, conditions=10)
        fit(generator.trainee(fabric), draw, ...)
        images = generator.sample(conditions)

    past: what it goes on from, while it is trained
    """

    past = Past()

    @abc.abstractmethod
    def sample(self, conditions: Tensor) -> Tensor:
        """Draw one image per condition, under torch's global generator; unconditional generators use only their number.

        conditions: ``[B]`` int64, on the generator's device. Returns ``[B, C, H, W]`` float, about in [-1, 1].
        """

    @abc.abstractmethod
    def trainee(self, fabric: Fabric) -> Trainee:
        """What `fit` trains. After it, this generator holds the weights to sample with."""

    def diverged(self, metrics: Mapping[str, float]) -> str | None:
        """What the last ``metrics`` of the training say to have gone wrong, and its cure; None if nothing."""
        return None
