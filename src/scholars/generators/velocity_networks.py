"""Networks for the velocity v(x, t, y) of a flow, given an image, a time and a (task, class) condition.

All take x ``[B, C, H, W]``, t ``[B]`` in [0, 1] and y ``[B]``, 0 for no condition, and return the shape of x.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.generators.mlp_networks import EMBEDDING_DIM, ResidualLayer

# Cosines and sines of the time embedding.
FREQUENCIES = 32


class TimeEmbedding(nn.Module):
    """Time and condition as one vector ``[B, depth]``."""

    def __init__(self, depth: int, conditions: int) -> None:
        super().__init__()
        # From half a period to 32 of them, in t from 0 to 1.
        frequencies = math.pi * torch.exp2(torch.linspace(0, 6, FREQUENCIES))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, depth), nn.SiLU(), nn.Linear(depth, depth))
        self.condition = nn.Embedding(1 + conditions, depth)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """Return the embedding of t ``[B]`` in [0, 1] and y ``[B]``."""
        angles = t[:, None] * cast(Tensor, self.frequencies)
        return F.silu(self.time(torch.cat([angles.cos(), angles.sin()], dim=1)) + self.condition(y))


class ResidualBlock(nn.Module):
    """A residual block of two 3x3 convolutions; the embedding scales and shifts its normalised input."""

    def __init__(self, channels: int, out: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.modulation = nn.Linear(embedding, 2 * channels)
        self.first = nn.Conv2d(channels, out, 3, padding=1)
        self.second = nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Return ``[B, out, H, W]`` of x ``[B, channels, H, W]`` and embedding ``[B, E]``."""
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        # Autocast leaves a norm in fp32, and all that follows it: twice the bytes, and bytes are what a step waits for.
        h = torch.addcmul(shift, self.norm(x).to(shift.dtype), 1 + scale)
        h = self.second(F.silu(self.first(F.silu(h))))
        return cast(Tensor, self.skip(x) + h)


class UNet(nn.Module):
    """Three levels of ``width`` times 1, 2 and 4 channels; works on any height and width of 4 or more."""

    def __init__(self, channels: int, width: int, conditions: int) -> None:
        super().__init__()
        w1, w2, w3, e = width, 2 * width, 4 * width, 4 * width
        self.embedding = TimeEmbedding(e, conditions)
        self.input = nn.Conv2d(channels, w1, 3, padding=1)
        self.down1 = ResidualBlock(w1, w1, e)
        self.pool1 = nn.Conv2d(w1, w2, 3, stride=2, padding=1)
        self.down2 = ResidualBlock(w2, w2, e)
        self.pool2 = nn.Conv2d(w2, w3, 3, stride=2, padding=1)
        self.middle = nn.ModuleList([ResidualBlock(w3, w3, e), ResidualBlock(w3, w3, e)])
        self.up2 = ResidualBlock(w3 + w2, w2, e)
        self.up1 = ResidualBlock(w2 + w1, w1, e)
        self.norm = nn.GroupNorm(1, w1)
        self.output = nn.Conv2d(w1, channels, 3, padding=1)
        # The velocity contains the noise itself. With a skip connection for it, whose gain depends on the time,
        # training takes about half the steps to a given loss (docs/measurements.md): the U-Net need not copy its input.
        self.skip = nn.Conv2d(channels, channels, 1)
        self.gain = nn.Linear(e, channels)
        for layer in (self.output, self.skip, self.gain):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """Return the velocity at x."""
        embedding = self.embedding(t, y)
        a = self.down1(self.input(x), embedding)
        b = self.down2(self.pool1(a), embedding)
        h = self.pool2(b)
        for block in self.middle:
            h = block(h, embedding)
        h = self.up2(torch.cat([F.interpolate(h, size=b.shape[2:]), b], dim=1), embedding)
        h = self.up1(torch.cat([F.interpolate(h, size=a.shape[2:]), a], dim=1), embedding)
        skip = self.skip(x) * (1 + self.gain(embedding)[:, :, None, None])
        return cast(Tensor, self.output(F.silu(self.norm(h).to(h.dtype))) + skip)


class MLP(nn.Module):
    """Three residual layers of ``width`` units, for images whose neighbouring pixels are unrelated."""

    def __init__(self, channels: int, side: int, width: int, conditions: int) -> None:
        super().__init__()
        pixels = channels * side * side
        depth = min(width, EMBEDDING_DIM)
        self.embedding = TimeEmbedding(depth, conditions)
        self.input = nn.Linear(pixels, width)
        self.layers = nn.ModuleList(ResidualLayer(width, depth) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, pixels)
        # Were a class's pixels independent and Gaussian, its velocity would be a gain and an offset for each, given by
        # the time. With a skip connection for these, the layers learn only how pixels depend on one another.
        self.skip = nn.Linear(depth, 2 * pixels)
        for layer in (self.output, self.skip):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """Return the velocity at x."""
        embedding = self.embedding(t, y)
        flat = x.flatten(1)
        h = self.input(flat)
        for layer in self.layers:
            h = layer(h, embedding)
        gain, offset = self.skip(embedding).chunk(2, dim=1)
        velocity = self.output(F.silu(self.norm(h))) + torch.addcmul(offset, gain, flat)
        return cast(Tensor, velocity.view_as(x))
