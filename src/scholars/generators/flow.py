"""Flow matching with straight paths (Lipman et al. 2023, arXiv 2210.02747; Liu et al. 2022, rectified flow).

Between noise x0 ~ N(0, I) and an image x1 runs the path  x_t = (1 - t) x0 + t x1,  whose velocity is  x1 - x0.
A network v(x, t, y) is fitted to it (eq. 23 with sigma_min = 0):

    L = E_{t, x0, (x1, y)} | v(x_t, t, y) - (x1 - x0) |^2

and an image is drawn by integrating  dx/dt = v(x, t, y)  from noise at t = 0 to t = 1.

With classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598, eq. 6 for velocities) the condition y is withheld
from a share of the images in training, and  v(none) + w (v(y) - v(none))  is integrated instead.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute import to_float
from scholars.fitting import Descent, Trainee
from scholars.generators.base import Generator
from scholars.replay import Batch
from scholars.settings import FlowSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Flow(Generator):
    """A flow over ``[B, C, size, size]`` images, conditional unless set otherwise."""

    def __init__(self, settings: FlowSettings, channels: int, size: int, conditions: int) -> None:
        super().__init__()
        self.settings, self.channels, self.size = settings, channels, size
        self.net = UNet(channels * settings.patch**2, settings.width, conditions if settings.conditional else 0)

    def trainee(self, fabric: Fabric) -> Trainee:
        """One descent on the flow matching loss."""
        s = self.settings
        return Descent(fabric, self, self._loss, rate=s.rate, ema=s.ema)

    def forward(self, x: Tensor, t: Tensor, given: Tensor) -> Tensor:
        """The velocity v(x, t, y) in patch space: x ``[B, C p^2, H/p, W/p]``, t ``[B]``, y ``[B]``, 0 for none."""
        return cast(Tensor, self.net(x, t, given))

    def sample(self, conditions: Tensor) -> Tensor:
        """Integrate from noise at t = 0 to images at t = 1, by way of the times t_i = (i / n)^warp."""
        s = self.settings
        side = self.size // s.patch
        x = torch.randn(len(conditions), self.channels * s.patch**2, side, side, device=conditions.device)
        x = x.contiguous(memory_format=torch.channels_last)
        given = self._given(conditions)
        times = [(i / s.sampling_steps) ** s.warp for i in range(s.sampling_steps + 1)]
        earlier = x
        for i, (now, then) in enumerate(pairwise(times)):
            slope = velocity = self._at(x, now, given)
            if s.solver == "heun" and then < 1:
                slope = (velocity + self._at(x + (then - now) * velocity, then, given)) / 2
            elif s.solver == "adams" and i > 0:
                # Adams-Bashforth of order 2: the slope in the middle of the step, by the line through the last two.
                slope = velocity + (velocity - earlier) * (0.5 * (then - now) / (now - times[i - 1]))
            x, earlier = x + (then - now) * slope, velocity
        images: Tensor = F.pixel_shuffle(x, s.patch)
        return images

    def _given(self, conditions: Tensor) -> Tensor:
        return conditions + 1 if self.settings.conditional else torch.zeros_like(conditions)

    def _at(self, x: Tensor, t: float, given: Tensor) -> Tensor:
        times = torch.full((len(x),), t, device=x.device)
        velocity: Tensor = self(x, times, given).float()
        if self.settings.guidance != 1:
            free: Tensor = self(x, times, torch.zeros_like(given)).float()
            velocity = torch.lerp(free, velocity, self.settings.guidance)
        return velocity

    def _loss(self, model: nn.Module, batch: Batch) -> Tensor:
        x1 = F.pixel_unshuffle(to_float(batch.images), self.settings.patch)
        x0 = torch.randn_like(x1)
        # Logit-normal times (Esser et al. 2024): the middle of the path is the hard part.
        t = torch.sigmoid(torch.randn(len(x1), device=x1.device))
        given = self._given(batch.conditions)
        given = given * (torch.rand(len(x1), device=x1.device) >= self.settings.dropout)
        velocity = model(torch.lerp(x0, x1, t[:, None, None, None]), t, given)
        return F.mse_loss(velocity.float(), x1 - x0)


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
        h = torch.addcmul(shift, self.norm(x), 1 + scale)
        h = self.second(F.silu(self.first(F.silu(h))))
        return cast(Tensor, self.skip(x) + h)


class UNet(nn.Module):
    """Three levels of ``width`` times 1, 2 and 4 channels; works on any height and width of 4 or more."""

    def __init__(self, channels: int, width: int, conditions: int) -> None:
        super().__init__()
        w1, w2, w3, e = width, 2 * width, 4 * width, 4 * width
        frequencies = math.pi * torch.exp2(torch.linspace(0, 6, 32))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.time = nn.Sequential(nn.Linear(64, e), nn.SiLU(), nn.Linear(e, e))
        self.given = nn.Embedding(1 + conditions, e)
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
        """x ``[B, channels, H, W]``, t ``[B]`` in [0, 1], given ``[B]``, 0 for none -> like x."""
        angles = t[:, None] * cast(Tensor, self.frequencies)
        embedding = F.silu(self.time(torch.cat([angles.cos(), angles.sin()], dim=1)) + self.given(given))
        a = self.down1(self.enter(x), embedding)
        b = self.down2(self.pool1(a), embedding)
        h = self.pool2(b)
        for block in self.middle:
            h = block(h, embedding)
        h = self.up2(torch.cat([F.interpolate(h, size=b.shape[2:]), b], dim=1), embedding)
        h = self.up1(torch.cat([F.interpolate(h, size=a.shape[2:]), a], dim=1), embedding)
        straight = self.straight(x) * (1 + self.gain(embedding)[:, :, None, None])
        return cast(Tensor, self.leave(F.silu(self.norm(h))) + straight)
