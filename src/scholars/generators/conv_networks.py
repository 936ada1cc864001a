"""Convolutional decoder and encoder of the adversarial generators and the VAE, for image sides that are multiples of 4.

A DCGAN (Radford et al. 2016, arXiv 1511.06434) whose decoder upsamples before 3x3 convolutions instead of using strided
transposed ones (Odena et al. 2016): in equal time its images are nearer to the real ones (docs/measurements.md).
"""

from collections.abc import Callable
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def smallest_map(size: int) -> tuple[int, int]:
    """Return the side of the smallest feature map, and the doublings from it to ``size``: 32: (4, 3), 28: (7, 2)."""
    doublings = 0
    while size % 2 == 0 and size > 7:
        size, doublings = size // 2, doublings + 1
    return size, doublings


# Dimensions of a condition's embedding.
EMBEDDING_DIM = 32
# Of leaky ReLU (Radford et al. 2016).
NEGATIVE_SLOPE = 0.2


class ConvDecoder(nn.Module):
    """Noise ``[B, latent]`` and conditions ``[B]`` -> images ``[B, channels, size, size]`` in [-1, 1].

    conditions: how many there are; 0: unconditional
    """

    def __init__(self, latent: int, channels: int, size: int, width: int, conditions: int) -> None:
        super().__init__()
        side, doublings = smallest_map(size)
        wide = width << (doublings - 1)
        self.condition = nn.Embedding(conditions, EMBEDDING_DIM) if conditions else None
        layers: list[nn.Module] = [
            nn.Linear(latent + EMBEDDING_DIM * bool(conditions), wide * side * side, bias=False),
            nn.Unflatten(1, (wide, side, side)),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        ]
        for stage in reversed(range(1, doublings)):
            out = width << (stage - 1)
            layers += [
                nn.Upsample(scale_factor=2),
                nn.Conv2d(out * 2, out, 3, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()]
        self.body = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, noise: Tensor, conditions: Tensor) -> Tensor:
        """Decode one image per row of ``noise``."""
        if self.condition is not None:
            noise = torch.cat([noise, self.condition(conditions)], dim=1)
        return cast(Tensor, self.body(noise))


class ConvEncoder(nn.Module):
    """Images ``[B, channels, size, size]`` -> ``[B, outputs]``.

    No batch norm: the gradient penalty is about each image by itself (Gulrajani et al. 2017, section 4).
    """

    def __init__(self, channels: int, size: int, width: int, outputs: int = 1) -> None:
        super().__init__()
        side, doublings = smallest_map(size)
        layers: list[nn.Module] = []
        for stage in range(doublings):
            out = width << stage
            layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1), nn.LeakyReLU(NEGATIVE_SLOPE)]
            channels = out
        self.body = nn.Sequential(*layers)
        # No bias: in a Wasserstein distance it cancels.
        self.head = nn.Conv2d(channels, outputs, side, bias=False)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs for each image."""
        return torch.flatten(self.head(self.body(images)), 1)

    def another_head(self, outputs: int) -> nn.Conv2d:
        """Return a new head with a bias, for ``outputs`` other outputs of the same body."""
        return nn.Conv2d(self.head.in_channels, outputs, self.head.kernel_size[0])

    def input_gradient(self, images: Tensor, weights: Tensor) -> Tensor:
        """Return the gradient of <weights, outputs> by the images, ``[B, C, H, W]``; weights ``[B, outputs]``.

        The network is piecewise linear: its gradient is a chain of transposed convolutions, each multiplied by the
        slopes (1 or 0.2) of its units, which are constant almost everywhere. Written out, a gradient penalty needs no
        second differentiation, which would cost a third more.
        """
        convolutions = [layer for layer in self.body if isinstance(layer, nn.Conv2d)]
        slopes = []
        with torch.no_grad():
            maps = images
            for convolution in convolutions:
                maps = F.leaky_relu(convolution(maps), NEGATIVE_SLOPE)
                slopes.append(torch.where(maps > 0, 1.0, NEGATIVE_SLOPE).to(maps.dtype))
        back = F.conv_transpose2d(weights[:, :, None, None], self.head.weight)
        for convolution, slope in zip(reversed(convolutions), reversed(slopes), strict=True):
            back = F.conv_transpose2d(back * slope, convolution.weight, stride=2, padding=1)
        return back


class Encoder(Protocol):
    """Computes what a critic scores images by: a body, a linear head, and the gradient of both."""

    @property
    def body(self) -> nn.Module:
        """All layers but the head."""

    @property
    def head(self) -> nn.Module:
        """The last layer, which is linear."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return the outputs ``[B, outputs]`` of the head for images ``[B, C, H, W]``."""

    def another_head(self, outputs: int) -> nn.Module:
        """Return a new head with a bias, for ``outputs`` other outputs of the same body."""

    def input_gradient(self, images: Tensor, weights: Tensor) -> Tensor:
        """Return the gradient of <weights, outputs> by the images, ``[B, C, H, W]``; weights ``[B, outputs]``."""


class ProjectionCritic(nn.Module):
    """A critic that is given the condition, by projection (Miyato & Koyama 2018, arXiv 1802.05637, eq. 3).

    The score of x as a y is  s(x) + <e(y), f(x)>,  s and f being outputs of one `Encoder`, e an embedding.

    conditions: how many there are; 0: unconditional, the score is s(x)
    classifies: whether it also predicts the condition of an image, from what is below s and f
    encoder: builds the encoder from (channels, size, width, outputs)
    """

    def __init__(
        self,
        channels: int,
        size: int,
        width: int,
        conditions: int,
        classifies: bool = False,
        encoder: Callable[[int, int, int, int], Encoder] = ConvEncoder,
    ) -> None:
        super().__init__()
        self.encoder = encoder(channels, size, width, 1 + EMBEDDING_DIM * bool(conditions))
        self.condition = nn.Embedding(conditions, EMBEDDING_DIM) if conditions else None
        self.classifier = self.encoder.another_head(conditions) if classifies else None

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Return scores ``[B]``, in fp32, of images ``[B, C, H, W]`` with conditions ``[B]``."""
        return self._score(self.encoder(images).float(), conditions)

    def scores_and_logits(self, images: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores ``[B]`` and the predicted conditions' logits ``[B, conditions]``; only if it classifies."""
        if self.classifier is None:
            raise RuntimeError("this critic was built without a classifier")
        maps = self.encoder.body(images)
        scores = self._score(torch.flatten(self.encoder.head(maps), 1).float(), conditions)
        return scores, torch.flatten(self.classifier(maps), 1).float()

    def input_gradient(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Return the gradient of the scores with respect to the images, ``[B, C, H, W]``."""
        return self.encoder.input_gradient(images, self._projection(images, conditions))

    def _score(self, outputs: Tensor, conditions: Tensor) -> Tensor:
        return (outputs * self._projection(outputs, conditions)).sum(dim=1)

    def _projection(self, like: Tensor, conditions: Tensor) -> Tensor:
        """Return (1, e(y)), ``[B, outputs]``: the score is its inner product with the outputs (s, f)."""
        one = like.new_ones(len(like), 1, dtype=torch.float32)
        return one if self.condition is None else torch.cat([one, self.condition(conditions)], dim=1)


def _initialise(module: nn.Module) -> None:
    """Draw a layer's weights from N(0, 0.02), the DCGAN paper's choice."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
