"""What every generator is: a module that draws images, and knows how it is trained."""

from __future__ import annotations

import abc
from typing import ClassVar

from lightning_fabric import Fabric
from torch import Tensor, nn

from scholars.fitting import Trainee


class Generator(nn.Module, abc.ABC):
    """Draws images from what it learned.

    A generator is built for one image shape and a number of classes, trained by `scholars.fitting.fit` through its
    `trainee`, and then sampled::

        generator = Flow(settings, image, classes=10)
        fit(generator.trainee(fabric), draw, ...)
        images = generator.sample(labels)
    """

    conditional: ClassVar[bool]
    """Whether `sample` heeds the labels. If not, only their number counts."""

    @abc.abstractmethod
    def sample(self, labels: Tensor) -> Tensor:
        """Draw one image per label, under torch's global generator.

        labels: ``[B]`` int64, on the generator's device. Returns ``[B, C, H, W]`` float, about in [-1, 1].
        """

    @abc.abstractmethod
    def trainee(self, fabric: Fabric) -> Trainee:
        """What `fit` trains. After it, this generator holds the weights to sample with."""
