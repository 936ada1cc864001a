"""The interface of all solvers: a classifier whose last-layer features can be read."""

import abc

from torch import Tensor, nn


class Solver(nn.Module, abc.ABC):
    """uint8 images ``[B, C, H, W]`` in 0..255 -> class logits ``[B, K]``.

    A solver normalises its images itself, the same way for every task: by `scholars.to_float`, unless it has a reason
    not to. Its outputs are the rows of its last layer: when classes are added, a warm start copies the old weights to
    the front of the larger ones.

    A module of another class serves as well, if it has these three methods.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return class logits ``[B, K]``."""
        return self.classify(self.features(images))

    @abc.abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Return the last layer's input ``[B, D]`` for uint8 images ``[B, C, H, W]``; images are compared by it."""

    @abc.abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Return the logits ``[B, K]`` of features ``[B, D]``: the last layer."""
