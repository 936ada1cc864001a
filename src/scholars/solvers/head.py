"""A classifier of features: linear, or with one hidden layer beside a linear one; trained, or in closed form."""

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from scholars.settings import FeatureSolverSettings, HeadSettings
from scholars.solvers.base import Solver


class Head(Solver):
    """Features ``[B, D]`` -> class logits ``[B, K]``.

    Features are standardised by the mean and spread of what it was taught, and logits divided by a temperature, so
    that its probabilities on what it was taught are calibrated (Guo et al. 2017, arXiv 1706.04599, section 4.2).
    Logits are those of the last layer; with a hidden layer, and those of a linear classifier of the features.
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
        self.linear: nn.Linear | None = None
        if hidden:
            self.linear = nn.Linear(features, classes)
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def reordered(self, outputs: Sequence[int]) -> Self:
        """Return a head that gives the logits of these outputs, in this order."""
        other, order = copy.deepcopy(self), list(outputs)
        for layer in filter(None, (other.last, other.linear)):
            layer.weight = nn.Parameter(layer.weight[order].detach().clone())
            layer.bias = nn.Parameter(layer.bias[order].detach().clone())
        return other

    def features(self, images: Tensor) -> Tensor:
        """Return features ``[B, D]``, standardised."""
        return (images.float() - self.mean) * self.scale

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits ``[B, K]`` of standardised features ``[B, D]``."""
        logits: Tensor = self.last(self.body(features))
        if self.linear is not None:
            logits = logits + self.linear(features)
        return logits / self.temperature
