"""A classifier of features: linear, or with one hidden layer; trained, or in closed form."""

from typing import cast

import torch
from torch import Tensor, nn

from scholars.settings import FeatureSolverSettings, HeadSettings
from scholars.solvers.base import Solver


class Head(Solver):
    """Features ``[B, D]`` -> class logits ``[B, K]``.

    Features are standardised by the mean and spread of what it was taught, and logits divided by a temperature, so
    that its probabilities on what it was taught are calibrated (Guo et al. 2017, arXiv 1706.04599, section 4.2).
    """

    def __init__(self, settings: FeatureSolverSettings, features: int, classes: int) -> None:
        super().__init__()
        hidden = settings.hidden if isinstance(settings, HeadSettings) else 0
        self.mean: Tensor
        self.scale: Tensor
        self.temperature: Tensor
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("temperature", torch.ones(()))
        self.body: nn.Module = nn.Sequential(nn.Linear(features, hidden), nn.ReLU()) if hidden else nn.Identity()
        self.last = nn.Linear(hidden or features, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return the last layer's input for features ``[B, D]``."""
        return cast(Tensor, self.body((images.float() - self.mean) * self.scale))

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits ``[B, K]`` of the last layer's input."""
        return cast(Tensor, self.last(features)) / self.temperature
