"""The one training loop: report, save, done?, step.

Whatever is trained - the solver, any generator - is a `Trainee`. All randomness of a step comes from (seed, stage,
step), so a run that resumes from a checkpoint at step s continues exactly as the uninterrupted one.
"""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from scholars.compute.device import Fabric, derive_seed, fork_rng, to_device
from scholars.compute.processes import (
    average_gradients,
    broadcast_flag,
    local_rows,
    synchronised,
)
from scholars.errors import Interrupted, ScholarsError, ScholarsWarning
from scholars.training import checkpoints
from scholars.training.batches import Batch
from scholars.training.meter import Meter, Tick

Draw = Callable[[], Batch]
# What all learning rates are multiplied by when a diverged training starts again: a stable rate is seldom lower.
RETRY_LR_SCALE = 0.3
# Gradient clipping: the largest norm. Norms are about 1; larger ones, up to 20, come only in the first steps, where new
# classes or the first task begin (the solvers of docs/results.md).
MAX_GRAD_NORM = 5.0
# Default seconds between checkpoints: the most that a power cut costs.
SAVE_EVERY = 60.0


class Trainee(Protocol):
    """Something that `fit` can train. Its state is that of its modules and optimizers, and nothing else.

    The loop sets the learning rates: an optimizer is not to set its own.
    """

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]

    def learning_rates(self, progress: float) -> Mapping[str, float]:
        """Return the learning rate of each optimizer; ``progress`` is the share of the steps taken, in [0, 1)."""

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """Take one step on as many batches as wanted, and return scalar tensors to be logged."""


@dataclass(frozen=True)
class Session:
    """The surroundings of a training: progress reports, checkpoints, when to stop.

    folder: where checkpoints go, one file a stage; None: no checkpoints
    on_tick: called about a hundred times a stage
    stopping: called before every step; True saves and raises Interrupted
    save_every: seconds between checkpoints
    """

    folder: Path | None = None
    on_tick: Callable[[Tick], None] = field(default=lambda tick: None)
    stopping: Callable[[], bool] = field(default=lambda: False)
    save_every: float = SAVE_EVERY


# No reports, no checkpoints.
NO_SESSION = Session()


def fit(trainee: Trainee, draw: Draw, *, fabric: Fabric, steps: int, seed: int, stage: str, session: Session) -> None:
    """Train ``trainee`` for ``steps`` steps.

    If a logged value is not finite, training starts again once, with all learning rates multiplied by
    `RETRY_LR_SCALE`, and says so in a ScholarsWarning. Raises Interrupted when asked to stop, ScholarsError if it
    diverges again.
    """
    checkpoint = session.folder / f"{stage}.safetensors" if session.folder else None
    position = f"{stage}, seed {seed}, {steps} steps"
    report_every = max(1, steps // 100)
    lr_scale, step, meter = 1.0, 0, Meter()
    # The one state that is the same however often a training was interrupted: a diverged one starts again from it.
    initial_modules = {name: copy.deepcopy(module.state_dict()) for name, module in trainee.modules.items()}
    initial_optimizers = {name: copy.deepcopy(each.state_dict()) for name, each in trainee.optimizers.items()}

    # Resume.
    saved = checkpoints.read(checkpoint, position) if checkpoint and checkpoint.exists() else None
    if saved := fabric.broadcast(saved):
        tensors, notes = saved
        step, lr_scale = int(notes["step"]), float(notes["lr_scale"])
        checkpoints.restore(trainee.modules, trainee.optimizers if step < steps else {}, tensors)
        meter.restore(notes["meter"])

    last_save = time.monotonic()
    with fork_rng(fabric.device), synchronised(fabric, trainee.modules.values()):
        while True:
            # Report status.
            if step % report_every == 0 or step == steps:
                tick = meter.tick(stage, step, steps, fabric)
                if bad := [name for name, value in tick.metrics.items() if not math.isfinite(value)]:
                    if lr_scale < 1:
                        raise ScholarsError(_diverged_again(tick, bad))
                    for name, module in trainee.modules.items():
                        module.load_state_dict(initial_modules[name])
                    for name, optimizer in trainee.optimizers.items():
                        optimizer.load_state_dict(initial_optimizers[name])
                    lr_scale, step, meter = RETRY_LR_SCALE, 0, Meter()
                    warnings.warn(_diverged(tick, bad), ScholarsWarning, stacklevel=2)
                    continue
                session.on_tick(tick)

            # Save.
            stopping = broadcast_flag(fabric, session.stopping())
            if checkpoint and (stopping or step == steps or time.monotonic() - last_save > session.save_every):
                notes = {"position": position, "step": str(step), "lr_scale": str(lr_scale), "meter": meter.notes()}
                # A finished training needs no moments.
                optimizers = trainee.optimizers if step < steps else {}
                checkpoints.save(checkpoint, trainee.modules, optimizers, notes)
                last_save = time.monotonic()

            # Done?
            if step == steps:
                return
            if stopping:
                raise Interrupted(f"stopped in stage {stage!r} at step {step} of {steps}")

            # One step.
            torch.manual_seed(derive_seed(seed, stage, step))
            rates = trainee.learning_rates(step / steps)
            for name, optimizer in trainee.optimizers.items():
                set_learning_rate(optimizer, lr_scale * rates[name])
            draw_local = meter.counted(lambda: batch_to_device(draw(), fabric))
            meter.add(trainee.step(draw_local, step / steps))
            step += 1


def batch_to_device(batch: Batch, fabric: Fabric) -> Batch:
    """Return this process's rows of the batch, on the device that computes."""
    return Batch(*(local_rows(fabric, part).to(fabric.device) for part in batch))


class Descent:
    """A trainee with one loss: AdamW, a one-cycle learning rate, optionally a moving average of the weights.

    ``module`` is trained in place. With ``ema`` > 0 it holds the average instead and a copy is trained.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: nn.Module,
        loss: Callable[[nn.Module, Batch], Tensor],
        *,
        rate: float,
        weight_decay: float = 0.0,
        ema: float = 0.0,
    ) -> None:
        self._loss, self._rate, self._ema, self._fabric = loss, rate, ema, fabric
        to_device(module, fabric.device)
        self._module = module
        self._live = copy.deepcopy(module) if ema else module
        self._optimizer = torch.optim.AdamW(self._live.parameters(), lr=rate, weight_decay=weight_decay, fused=True)
        self.modules: Mapping[str, nn.Module] = {"module": module, "live": self._live} if ema else {"module": module}
        self.optimizers: Mapping[str, Optimizer] = {"optimizer": self._optimizer}

    def learning_rates(self, progress: float) -> Mapping[str, float]:
        """Follow the one-cycle schedule."""
        return {"optimizer": self._rate * one_cycle(progress)}

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """Take one gradient step on one batch."""
        self._live.train()
        batch = draw()
        with self._fabric.autocast():
            loss = self._loss(self._live, batch)
        self._optimizer.zero_grad()
        self._fabric.backward(loss)
        average_gradients(self._fabric, self._live)
        norm = nn.utils.clip_grad_norm_(self._live.parameters(), max_norm=MAX_GRAD_NORM)
        self._optimizer.step()
        if self._ema:
            update_ema(self._module, self._live, self._ema)
        return {"loss": loss.detach(), "gradient_norm": norm.detach()}


def one_cycle(progress: float, warm_up: float = 0.1) -> float:
    """Return the share of the peak learning rate: linear up over ``warm_up``, then half a cosine down to zero.

    After Smith & Topin 2018, arXiv 1708.07120; 0.04 is where torch's OneCycleLR begins. A function of the position, not
    a scheduler with a state of its own.
    """
    if progress < warm_up:
        return 0.04 + 0.96 * progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


@torch.no_grad()
def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Return the Euclidean norm of the gradients of all parameters together, a scalar."""
    return nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])


# PyTorch gives its function no types.
_ema_update = cast(
    Callable[[float], Callable[[list[nn.Parameter], list[nn.Parameter], int], None]], get_ema_multi_avg_fn
)


@torch.no_grad()
def update_ema(average: nn.Module, live: nn.Module, decay: float) -> None:
    """Set average <- decay * average + (1 - decay) * live, parameters only; buffers are copied."""
    _ema_update(decay)(list(average.parameters()), list(live.parameters()), 0)
    for mine, other in zip(average.buffers(), live.buffers(), strict=True):
        mine.copy_(other)


def _diverged(tick: Tick, bad: Sequence[str]) -> str:
    return (
        f"training diverged: {', '.join(bad)} not finite in stage {tick.stage!r} by step {tick.step} of {tick.steps}. "
        f"The stage starts again, with its learning rates multiplied by {RETRY_LR_SCALE:g}"
    )


def _diverged_again(tick: Tick, bad: Sequence[str]) -> str:
    return (
        f"training diverged again: {', '.join(bad)} not finite in stage {tick.stage!r} by step {tick.step} of "
        f"{tick.steps}, with learning rates multiplied by {RETRY_LR_SCALE:g}. Nothing was saved. Set a lower one "
        "(solver.rate, generator.rate)"
    )
