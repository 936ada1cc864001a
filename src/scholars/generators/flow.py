"""Flow matching with straight paths (Lipman et al. 2023, arXiv 2210.02747; Liu et al. 2022, rectified flow).

Between noise x0 ~ N(0, I) and an image x1 runs the path  x_t = (1 - t) x0 + t x1,  whose velocity is  x1 - x0.
A network v(x, t, y) is fitted to it (eq. 23 with sigma_min = 0):

    L = E_{t, x0, (x1, y)} | v(x_t, t, y) - (x1 - x0) |^2,       t = 1 / (1 + e^-n), n ~ N(0, 1)

(logit-normal times: the middle of the path is the hard part; Esser et al. 2024, arXiv 2403.03206, section 3.1),
and an image is drawn by integrating  dx/dt = v(x, t, y)  from noise at t = 0 to t = 1.

With ``distil``, the previous flow's own velocity v' at a dream x1 is the target instead of the dream's,

    L = E_{t, x0, (x1, y)} | v(x_t, t, y) - v'(x_t, t, y) |^2,

which is generative distillation (Masip et al. 2024, arXiv 2311.14028): the mean over all dreams, without the noise of
single ones, so that dreams of dreams degrade less.

With classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598, eq. 6 for velocities) the condition y is dropped
for a share of the images in training, and  v(none) + w (v(y) - v(none))  is integrated instead (w is 1 + the paper's
w). Without a condition the target is x1 - x0 in any case.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute.device import Fabric, to_device, to_float
from scholars.compute.processes import rand_rows, randn_rows
from scholars.generators.base import Generator, Teacher
from scholars.generators.network_choice import network_for
from scholars.generators.velocity_networks import MLP, UNet
from scholars.settings import FlowSettings
from scholars.training.batches import Batch
from scholars.training.loop import Descent, Trainee


class Flow(Generator):
    """A flow over ``[B, C, size, size]`` images; conditional by default."""

    def __init__(self, settings: FlowSettings, channels: int, size: int, conditions: int) -> None:
        super().__init__()
        self.settings, self.channels, self.size = settings, channels, size
        depth, count = channels * self.patch**2, conditions if settings.conditional else 0
        name, width = network_for(settings, size)
        self.net: nn.Module = (
            MLP(depth, size // self.patch, width, count) if name == "mlp" else UNet(depth, width, count)
        )

    @property
    def patch(self) -> int:
        """Pixels a side that are folded into channels; features are one pixel, and stay it."""
        return 1 if self.size == 1 else self.settings.patch

    def trainee(self, fabric: Fabric, teacher: Teacher) -> Trainee:
        """Return gradient descent on the flow matching loss."""
        s = self.settings
        distilled = self._distilled(teacher.generator)
        if distilled:
            to_device(distilled.eval(), fabric.device)
        return Descent(fabric, self, partial(self._loss, distilled, teacher.conditions), rate=s.rate, ema=s.ema)

    def _distilled(self, teacher: Generator | None) -> Flow | None:
        """Return the teacher, if its velocities can be learned: a conditional flow of the same image and patch size."""
        s = self.settings
        if not s.distil or not s.conditional or not isinstance(teacher, Flow) or not teacher.settings.conditional:
            return None
        return teacher if (teacher.size, teacher.patch) == (self.size, self.patch) else None

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """Return v(x, t, y) in patch space: x ``[B, C p^2, H/p, W/p]``, t and y ``[B]``, y = 0 for no condition."""
        return cast(Tensor, self.net(x, t, y))

    def sample(self, conditions: Tensor) -> Tensor:
        """Integrate from noise at t = 0 to images at t = 1, by way of the times t_i = (i / n)^warp.

        With h_i = t_(i+1) - t_i and the velocity v_i at x_i, x_(i+1) = x_i + h_i s_i, where the slope s_i is

            euler    v_i
            heun     (v_i + v(x_i + h_i v_i, t_(i+1))) / 2; v_i in the last step, as in arXiv 2206.00364
            adams    v_i + h_i / (2 h_(i-1)) (v_i - v_(i-1)), Adams-Bashforth of order 2; v_i in the first step
        """
        s = self.settings
        side = self.size // self.patch
        x = torch.randn(len(conditions), self.channels * self.patch**2, side, side, device=conditions.device)
        x = x.contiguous(memory_format=torch.channels_last)
        y = self._labels(conditions)
        times = [(i / s.sampling_steps) ** s.warp for i in range(s.sampling_steps + 1)]
        earlier: Tensor | None = None
        for i, (now, then) in enumerate(pairwise(times)):
            slope = velocity = self._velocity(x, now, y)
            if s.solver == "heun" and then < 1:
                slope = (velocity + self._velocity(x + (then - now) * velocity, then, y)) / 2
            elif s.solver == "adams" and earlier is not None:
                slope = velocity + (velocity - earlier) * (0.5 * (then - now) / (now - times[i - 1]))
            x, earlier = x + (then - now) * slope, velocity
        return F.pixel_shuffle(x, self.patch)

    def _labels(self, conditions: Tensor) -> Tensor:
        return conditions + 1 if self.settings.conditional else torch.zeros_like(conditions)

    def _velocity(self, x: Tensor, t: float, y: Tensor) -> Tensor:
        times = torch.full((len(x),), t, device=x.device)
        velocity = cast(Tensor, self(x, times, y)).float()
        if self.settings.guidance != 1:
            unconditional = cast(Tensor, self(x, times, torch.zeros_like(y))).float()
            velocity = torch.lerp(unconditional, velocity, self.settings.guidance)
        return velocity

    def _loss(self, teacher: Flow | None, known: int, model: nn.Module, batch: Batch) -> Tensor:
        x1 = F.pixel_unshuffle(to_float(batch.inputs), self.patch)
        x0 = randn_rows(*x1.shape, device=x1.device).contiguous(memory_format=torch.channels_last)
        t = torch.sigmoid(randn_rows(len(x1), device=x1.device))
        y = self._labels(batch.conditions)
        y = y * (rand_rows(len(x1), device=x1.device) >= self.settings.dropout)
        x_t = torch.lerp(x0, x1, t[:, None, None, None])
        target = x1 - x0
        dreamt = (y > 0) & (y <= known)
        if teacher is not None and bool(dreamt.any()):
            with torch.no_grad():
                target[dreamt] = teacher(x_t[dreamt], t[dreamt], y[dreamt]).float()
        return F.mse_loss(model(x_t, t, y).float(), target)
