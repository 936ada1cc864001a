"""What every solver is: a classifier that also shows what its last layer sees."""

from __future__ import annotations

import abc

from torch import Tensor, nn


class Solver(nn.Module, abc.ABC):
    """uint8 images ``[B, C, H, W]`` in 0..255 -> class logits ``[B, K]``.

    A solver normalises its images itself, the same way for every task, by `scholars.compute.to_float` unless it has a
    reason not to. Its outputs are the rows of its last layer: when classes are added, a warm start copies the weights
    that it had to the front of the larger ones.

    A module of another class serves as well, if it has these three methods.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Class logits ``[B, K]``."""
        return self.classify(self.features(images))

    @abc.abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """What the last layer sees of uint8 images ``[B, C, H, W]``: ``[B, D]``. Images are compared by it."""

    @abc.abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """The last layer: features ``[B, D]`` -> logits ``[B, K]``."""
