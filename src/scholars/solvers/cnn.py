"""A batch-norm CNN: three stages of two 3x3 convolutions, each stage half the size and twice the channels.

Pooling comes right after a stage's last convolution: norm and ReLU then have a quarter of the work, and element-wise
work is slow on a CPU.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from scholars.compute.device import to_float
from scholars.settings import ImageSettings, SolverSettings
from scholars.settings.base import planned
from scholars.solvers.base import Solver


class CNN(Solver):
    """uint8 images ``[B, C, H, W]`` -> class logits ``[B, K]``, for any H, W of 8 or more."""

    def __init__(self, settings: SolverSettings, image: ImageSettings, classes: int) -> None:
        super().__init__()
        width = planned(settings.width)
        layers: list[nn.Module] = []
        channels: int = image.channels
        for stage, out in enumerate((width, 2 * width, 4 * width)):
            for halved in (False, stage < 2):
                layers.append(nn.Conv2d(channels, out, 3, padding=1, bias=False))
                if halved:
                    layers.append(nn.MaxPool2d(2))
                layers += [nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
                channels = out
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(2 * channels, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return mean and maximum of the last feature maps, ``[B, D]``."""
        floats = to_float(images)
        maps = self.body(floats) if self.training else self._folded(floats)
        return torch.cat([maps.mean((2, 3)), F.adaptive_max_pool2d(maps, 1).flatten(1)], dim=1)

    def _folded(self, maps: Tensor) -> Tensor:
        """Apply the body in evaluation, with norms folded into the convolutions right before them: in half the time.

        After a pooling a norm is not folded: before it, a negative gain would turn each maximum into a minimum.
        """
        pending: nn.Conv2d | None = None
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                pending = layer
            elif isinstance(layer, nn.BatchNorm2d) and pending:
                mean, variance = cast(Tensor, layer.running_mean), cast(Tensor, layer.running_var)
                weight, bias = fuse_conv_bn_weights(
                    pending.weight, None, mean, variance, layer.eps, layer.weight, layer.bias
                )
                maps, pending = F.conv2d(maps, weight, bias, padding=1), None
            else:
                maps, pending = layer(pending(maps) if pending else maps), None
        return maps

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits ``[B, K]`` of features ``[B, D]``."""
        return cast(Tensor, self.head(features))
