"""An MLP with two hidden layers, for images whose neighbouring pixels are unrelated."""

from typing import cast

from torch import Tensor, nn

from scholars.compute.device import to_float
from scholars.settings import ImageSettings, SolverSettings
from scholars.settings.base import planned
from scholars.solvers.base import Solver


class MLP(Solver):
    """uint8 images ``[B, C, H, W]`` -> class logits ``[B, K]``."""

    def __init__(self, settings: SolverSettings, image: ImageSettings, classes: int) -> None:
        super().__init__()
        pixels, width = image.channels * image.size**2, planned(settings.width)
        self.body = nn.Sequential(nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.head = nn.Linear(width, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return the second hidden layer, ``[B, width]``."""
        return cast(Tensor, self.body(to_float(images).flatten(1)))

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits ``[B, K]`` of features ``[B, D]``."""
        return cast(Tensor, self.head(features))
