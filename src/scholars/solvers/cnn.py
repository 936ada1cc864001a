"""A batch-norm CNN: three stages of two 3x3 convolutions, each stage half the size and twice the channels."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from scholars.compute import to_float
from scholars.settings import ImageSettings, SolverSettings
from scholars.solvers.base import Solver


class CNN(Solver):
    """uint8 images ``[B, C, H, W]`` -> class logits ``[B, K]``, for any H, W of 8 or more."""

    def __init__(self, settings: SolverSettings, image: ImageSettings, classes: int) -> None:
        super().__init__()
        width = settings.width
        layers: list[nn.Module] = []
        channels: int = image.channels
        for stage in range(3):
            if stage:
                layers.append(nn.MaxPool2d(2))
            for _ in range(2):
                out = width << stage
                layers += [
                    nn.Conv2d(channels, out, 3, padding=1, bias=False),
                    nn.BatchNorm2d(out),
                    nn.ReLU(inplace=True),
                ]
                channels = out
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(2 * channels, classes)

    def features(self, images: Tensor) -> Tensor:
        """uint8 images ``[B, C, H, W]`` -> the features that the last layer sees, ``[B, D]``."""
        floats = to_float(images)
        maps = self.body(floats) if self.training else self._folded(floats)
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)

    def _folded(self, maps: Tensor) -> Tensor:
        """What the body does in evaluation, each norm folded into the convolution before it: half the time."""
        convolution: nn.Conv2d
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                convolution = layer
            elif isinstance(layer, nn.BatchNorm2d):
                mean, variance = cast(Tensor, layer.running_mean), cast(Tensor, layer.running_var)
                weight, bias = fuse_conv_bn_weights(
                    convolution.weight, None, mean, variance, layer.eps, layer.weight, layer.bias
                )
                maps = F.conv2d(maps, weight, bias, padding=1)
            else:
                maps = layer(maps)
        return maps

    def classify(self, features: Tensor) -> Tensor:
        """Features ``[B, D]`` -> class logits ``[B, K]``."""
        return cast(Tensor, self.head(features))
