"""Flow matching with straight paths (Lipman et al. 2023, arXiv 2210.02747; Liu et al. 2022, rectified flow).

Between noise x0 ~ N(0, I) and an image x1 runs the path  x_t = (1 - t) x0 + t x1,  whose velocity is  x1 - x0.
A network v(x, t, y) is fitted to it (eq. 23 with sigma_min = 0):

    L = E_{t, x0, (x1, y)} | v(x_t, t, y) - (x1 - x0) |^2,       t = 1 / (1 + e^-n), n ~ N(0, 1)

(logit-normal times: the middle of the path is the hard part; Esser et al. 2024, arXiv 2403.03206, section 3.1),
and an image is drawn by integrating  dx/dt = v(x, t, y)  from noise at t = 0 to t = 1.

If so set, the previous generator's own velocity v' at a dream x1 is learned in the place of the dream's,

    L = E_{t, x0, (x1, y)} | v(x_t, t, y) - v'(x_t, t, y) |^2,

which is generative distillation (Masip et al. 2024, arXiv 2311.14028): the mean of what all dreams say, without the
chance that is in a few of them, so that dreams of dreams fade less.

With classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598, eq. 6 for velocities) the condition y is withheld
from a share of the images in training, and  v(none) + w (v(y) - v(none))  is integrated instead (w is 1 + the
paper's w). Without a condition x1 - x0 is learned, whatever the previous generator knows.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute import place, to_float
from scholars.fitting import Descent, Trainee
from scholars.generator_settings import FlowSettings
from scholars.generators.base import Generator
from scholars.generators.velocity import MLP, UNet
from scholars.replay import Batch
from scholars.team import chances, noise

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Flow(Generator):
    """A flow over ``[B, C, size, size]`` images, conditional unless set otherwise."""

    def __init__(self, settings: FlowSettings, channels: int, size: int, conditions: int) -> None:
        super().__init__()
        self.settings, self.channels, self.size = settings, channels, size
        depth, given = channels * settings.patch**2, conditions if settings.conditional else 0
        self.net: nn.Module = (
            UNet(depth, settings.width, given)
            if settings.net == "unet"
            else MLP(depth, size // settings.patch, settings.width, given)
        )

    def trainee(self, fabric: Fabric) -> Trainee:
        """One descent on the flow matching loss."""
        s, teacher = self.settings, self._teacher()
        if teacher:
            place(teacher.eval(), fabric.device)
        return Descent(fabric, self, partial(self._loss, teacher, self.past.known), rate=s.rate, ema=s.ema)

    def _teacher(self) -> Flow | None:
        """The previous flow, if its velocities are to be learned: of the same images, each condition by itself."""
        teacher, s = self.past.teacher, self.settings
        if not s.distil or not s.conditional or not isinstance(teacher, Flow) or not teacher.settings.conditional:
            return None
        return teacher if (teacher.size, teacher.settings.patch) == (self.size, s.patch) else None

    def forward(self, x: Tensor, t: Tensor, given: Tensor) -> Tensor:
        """The velocity v(x, t, y) in patch space: x ``[B, C p^2, H/p, W/p]``, t ``[B]``, y ``[B]``, 0 for none."""
        return cast(Tensor, self.net(x, t, given))

    def sample(self, conditions: Tensor) -> Tensor:
        """Integrate from noise at t = 0 to images at t = 1, by way of the times t_i = (i / n)^warp.

        With h_i = t_(i+1) - t_i and the velocity v_i at x_i, x_(i+1) = x_i + h_i s_i, where the slope s_i is

            euler    v_i
            heun     (v_i + v(x_i + h_i v_i, t_(i+1))) / 2; v_i in the last step, as in arXiv 2206.00364
            adams    v_i + h_i / (2 h_(i-1)) (v_i - v_(i-1)), Adams-Bashforth of order 2; v_i in the first step
        """
        s = self.settings
        side = self.size // s.patch
        x = torch.randn(len(conditions), self.channels * s.patch**2, side, side, device=conditions.device)
        x = x.contiguous(memory_format=torch.channels_last)
        given = self._given(conditions)
        times = [(i / s.sampling_steps) ** s.warp for i in range(s.sampling_steps + 1)]
        earlier: Tensor | None = None
        for i, (now, then) in enumerate(pairwise(times)):
            slope = velocity = self._at(x, now, given)
            if s.solver == "heun" and then < 1:
                slope = (velocity + self._at(x + (then - now) * velocity, then, given)) / 2
            elif s.solver == "adams" and earlier is not None:
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

    def _loss(self, teacher: Flow | None, known: int, model: nn.Module, batch: Batch) -> Tensor:
        x1 = F.pixel_unshuffle(to_float(batch.images), self.settings.patch)
        x0 = noise(*x1.shape, device=x1.device).contiguous(memory_format=torch.channels_last)
        t = torch.sigmoid(noise(len(x1), device=x1.device))
        given = self._given(batch.conditions)
        given = given * (chances(len(x1), device=x1.device) >= self.settings.dropout)
        seen = torch.lerp(x0, x1, t[:, None, None, None])
        wanted = x1 - x0
        old = (given > 0) & (given <= known)
        if teacher is not None and bool(old.any()):
            with torch.no_grad():
                wanted[old] = teacher(seen[old], t[old], given[old]).float()
        return F.mse_loss(model(seen, t, given).float(), wanted)
