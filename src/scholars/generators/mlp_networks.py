"""Conditional MLPs, for images whose neighbouring pixels are unrelated (permuted MNIST)."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    """

    def __init__(self, latent: int, channels: int, size: int, width: int, conditions: int) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        pixels = channels * size * size
        self.body = ConditionalMLP(latent, pixels, width, conditions)
        self.mean = nn.Embedding(conditions, pixels)
        nn.init.zeros_(self.mean.weight)
        nn.init.zeros_(self.body.output.weight)

    def forward(self, codes: Tensor, conditions: Tensor) -> Tensor:
        """Decode one image per code."""
        return torch.tanh(self.body(codes, conditions) + self.mean(conditions)).view(-1, *self.shape)
