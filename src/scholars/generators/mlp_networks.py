"""MLPs, for features of a backbone, and for images whose neighbouring pixels are unrelated (permuted MNIST)."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.generators.conv_networks import NEGATIVE_SLOPE

# Dimensions of a condition's, or a time's, embedding. Larger ones learn more slowly, and take as long as the layers
# themselves (docs/measurements.md).
EMBEDDING_DIM = 128


class ResidualLayer(nn.Module):
    """A residual layer; an embedding of time or condition scales and shifts its normalised input."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(embedding, 2 * width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        nn.init.zeros_(self.second.weight)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Return ``[B, width]`` of h ``[B, width]`` and embedding ``[B, E]``."""
        scale, shift = self.modulation(embedding).chunk(2, dim=1)
        inner = torch.addcmul(shift, self.norm(h), 1 + scale)
        return cast(Tensor, h + self.second(F.silu(self.first(F.silu(inner)))))


class ConditionalMLP(nn.Module):
    """``[B, inputs]`` and conditions ``[B]`` -> ``[B, outputs]``, by way of two residual layers of ``width`` units."""

    def __init__(self, inputs: int, outputs: int, width: int, conditions: int) -> None:
        super().__init__()
        depth = min(width, EMBEDDING_DIM)
        self.condition = nn.Embedding(conditions, depth)
        self.input = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(ResidualLayer(width, depth) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, outputs)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        """Return the outputs for each row of x."""
        embedding = F.silu(self.condition(conditions))
        h = self.input(x)
        for layer in self.layers:
            h = layer(h, embedding)
        return cast(Tensor, self.output(F.silu(self.norm(h))))


class MLPDecoder(nn.Module):
    """Codes ``[B, latent]`` and conditions ``[B]`` -> images ``[B, channels, size, size]`` in [-1, 1].

    Each condition has a learned mean image, so that what its images have in common is learned at once.

    conditions: how many there are; 0: unconditional
    """

    def __init__(self, latent: int, channels: int, size: int, width: int, conditions: int) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        pixels = channels * size * size
        self.conditional = conditions > 0
        self.body = ConditionalMLP(latent, pixels, width, max(conditions, 1))
        self.mean = nn.Embedding(max(conditions, 1), pixels)
        nn.init.zeros_(self.mean.weight)
        nn.init.zeros_(self.body.output.weight)

    def forward(self, codes: Tensor, conditions: Tensor) -> Tensor:
        """Decode one image per code."""
        if not self.conditional:
            conditions = torch.zeros_like(conditions)
        return torch.tanh(self.body(codes, conditions) + self.mean(conditions)).view(-1, *self.shape)


class LeakyMLP(nn.Module):
    """Images ``[B, channels, size, size]`` -> ``[B, outputs]``, by two leaky-ReLU layers: the encoder of a critic.

    No norm: the gradient penalty is about each image by itself (Gulrajani et al. 2017, section 4), and its gradient is
    that of a piecewise linear function.
    """

    def __init__(self, channels: int, size: int, width: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * size * size, width),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Linear(width, width),
            nn.LeakyReLU(NEGATIVE_SLOPE),
        )
        # No bias: in a Wasserstein distance it cancels.
        self.head = nn.Linear(width, outputs, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs for each image."""
        return cast(Tensor, self.head(self.body(images)))

    def another_head(self, outputs: int) -> nn.Linear:
        """Return a new head with a bias, for ``outputs`` other outputs of the same body."""
        return nn.Linear(self.head.in_features, outputs)

    def input_gradient(self, images: Tensor, weights: Tensor) -> Tensor:
        """Return the gradient of <weights, outputs> by the images, ``[B, C, H, W]``; weights ``[B, outputs]``.

        A chain of transposed matrices and of slopes, as in `ConvEncoder.input_gradient`: it needs no second
        differentiation.
        """
        layers = [layer for layer in self.body if isinstance(layer, nn.Linear)]
        slopes = []
        with torch.no_grad():
            h = images.flatten(1)
            for layer in layers:
                h = F.leaky_relu(layer(h), NEGATIVE_SLOPE)
                slopes.append(torch.where(h > 0, 1.0, NEGATIVE_SLOPE).to(h.dtype))
        back = weights @ self.head.weight
        for layer, slope in zip(reversed(layers), reversed(slopes), strict=True):
            back = (back * slope) @ layer.weight
        return back.view_as(images)
