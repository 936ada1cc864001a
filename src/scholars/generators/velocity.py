"""Networks for the velocity v(x, t, y) of a flow: what is seen, when, and of what (task, class).

All take x ``[B, C, H, W]``, t ``[B]`` in [0, 1] and given ``[B]``, 0 for no condition, and return the like of x.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.generators.perceptron import DEPTH, Layer

# Of the cosines and sines by which time is told.
FREQUENCIES = 32


class Embedding(nn.Module):
    """Time and condition as one vector ``[B, depth]``."""

    def __init__(self, depth: int, conditions: int) -> None:
        super().__init__()
        # From half a period to 32 of them, in t from 0 to 1.
        frequencies = math.pi * torch.exp2(torch.linspace(0, 6, FREQUENCIES))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, depth), nn.SiLU(), nn.Linear(depth, depth))
        self.given = nn.Embedding(1 + conditions, depth)

    def forward(self, t: Tensor, given: Tensor) -> Tensor:
        """t ``[B]`` in [0, 1], given ``[B]``."""
        angles = t[:, None] * cast(Tensor, self.frequencies)
        return F.silu(self.time(torch.cat([angles.cos(), angles.sin()], dim=1)) + self.given(given))


class Block(nn.Module):
    """A residual block of two 3x3 convolutions; time and class scale and shift its normalised input."""

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
        """x ``[B, channels, H, W]``, embedding ``[B, E]`` -> ``[B, out, H, W]``."""
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
        self.embedding = Embedding(e, conditions)
        self.enter = nn.Conv2d(channels, w1, 3, padding=1)
        self.down1 = Block(w1, w1, e)
        self.pool1 = nn.Conv2d(w1, w2, 3, stride=2, padding=1)
        self.down2 = Block(w2, w2, e)
        self.pool2 = nn.Conv2d(w2, w3, 3, stride=2, padding=1)
        self.middle = nn.ModuleList([Block(w3, w3, e), Block(w3, w3, e)])
        self.up2 = Block(w3 + w2, w2, e)
        self.up1 = Block(w2 + w1, w1, e)
        self.norm = nn.GroupNorm(1, w1)
        self.leave = nn.Conv2d(w1, channels, 3, padding=1)
        # The velocity holds the noise itself. With a straight way for it, whose gain follows the time, training takes
        # about half the steps to a given loss (docs/measurements.md): the U-Net need not copy what it is given.
        self.straight = nn.Conv2d(channels, channels, 1)
        self.gain = nn.Linear(e, channels)
        for layer in (self.leave, self.straight, self.gain):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor, t: Tensor, given: Tensor) -> Tensor:
        """The velocity at x."""
        embedding = self.embedding(t, given)
        a = self.down1(self.enter(x), embedding)
        b = self.down2(self.pool1(a), embedding)
        h = self.pool2(b)
        for block in self.middle:
            h = block(h, embedding)
        h = self.up2(torch.cat([F.interpolate(h, size=b.shape[2:]), b], dim=1), embedding)
        h = self.up1(torch.cat([F.interpolate(h, size=a.shape[2:]), a], dim=1), embedding)
        straight = self.straight(x) * (1 + self.gain(embedding)[:, :, None, None])
        return cast(Tensor, self.leave(F.silu(self.norm(h).to(h.dtype))) + straight)


class MLP(nn.Module):
    """Three residual layers of ``width`` units that know nothing of neighbouring pixels: for images that have none."""

    def __init__(self, channels: int, side: int, width: int, conditions: int) -> None:
        super().__init__()
        pixels = channels * side * side
        depth = min(width, DEPTH)
        self.embedding = Embedding(depth, conditions)
        self.enter = nn.Linear(pixels, width)
        self.layers = nn.ModuleList(Layer(width, depth) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, pixels)
        # Were a class's pixels independent and Gaussian, its velocity would be a gain and an offset of each, set
        # by the time. With a straight way for these, the layers learn only how pixels depend on one another.
        self.straight = nn.Linear(depth, 2 * pixels)
        for layer in (self.leave, self.straight):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor, t: Tensor, given: Tensor) -> Tensor:
        """The velocity at x."""
        embedding = self.embedding(t, given)
        flat = x.flatten(1)
        h = self.enter(flat)
        for layer in self.layers:
            h = layer(h, embedding)
        gain, offset = self.straight(embedding).chunk(2, dim=1)
        velocity = self.leave(F.silu(self.norm(h))) + torch.addcmul(offset, gain, flat)
        return cast(Tensor, velocity.view_as(x))
