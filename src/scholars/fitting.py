"""The one training loop: report, save, done?, step.

Whatever trains - the solver, any generator - is a `Trainee`. All randomness of a step comes from (seed, stage, step),
so a run that resumes from a checkpoint at step s goes on exactly as the uninterrupted one.
"""

from __future__ import annotations

import copy
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars import checkpoints
from scholars.compute import place, randomness, seed_of
from scholars.errors import Interrupted, ScholarsError, ScholarsWarning
from scholars.replay import Batch
from scholars.team import agreed, as_one, average_gradients, averaged, broadcast, own_rows

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Draw = Callable[[], Batch]
# What the learning rates of a training that diverged are multiplied by, once: a stable rate is seldom farther away.
CALM = 0.3
# What gradients are shortened to. Norms are about 1; above it are only those of the first steps, up to 20, where new
# classes or the first task begin (the solvers of docs/results.md).
LONGEST = 5.0
# Seconds between checkpoints, unless asked for otherwise: what a power cut costs, at most.
SAVE_EVERY = 60.0


class Trainee(Protocol):
    """Something that `fit` can train. Its state is that of its modules and optimizers, and nothing else."""

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]
    # What every learning rate is multiplied by: 1, or less when `fit` begins anew because training diverged.
    calm: float

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """Take one step on as many batches as wanted; ``progress`` is the share of the steps already taken, in [0, 1).

        Returns scalar tensors to be logged.
        """


@dataclass(frozen=True)
class Tick:
    """A report from the loop: means of the logged values since the last one."""

    stage: str
    step: int
    steps: int
    metrics: Mapping[str, float]
    images_per_second: float


@dataclass(frozen=True)
class Session:
    """What surrounds a training: who is told, where unfinished work is kept, when to stop.

    folder: checkpoints go here, one file a stage; None keeps none
    on_tick: called about a hundred times a stage
    stopping: asked before every step; True saves and raises Interrupted
    save_every: seconds between checkpoints
    """

    folder: Path | None = None
    on_tick: Callable[[Tick], None] = field(default=lambda tick: None)
    stopping: Callable[[], bool] = field(default=lambda: False)
    save_every: float = SAVE_EVERY


# Nobody is told, nothing is kept.
ALONE = Session()


def fit(trainee: Trainee, draw: Draw, *, fabric: Fabric, steps: int, seed: int, stage: str, session: Session) -> None:
    """Train ``trainee`` for ``steps`` steps.

    If what it reports is not finite it begins anew, once, more calmly, and says so in a ScholarsWarning. Raises
    Interrupted when asked to stop, ScholarsError if it diverges again.
    """
    checkpoint = session.folder / f"{stage}.safetensors" if session.folder else None
    position = f"{stage}, seed {seed}, {steps} steps"
    every = max(1, steps // 100)
    trainee.calm = 1.0
    # The one state that is the same however often a training was interrupted.
    beginning = {name: copy.deepcopy(module.state_dict()) for name, module in trainee.modules.items()}
    fresh = {name: copy.deepcopy(optimizer.state_dict()) for name, optimizer in trainee.optimizers.items()}
    meter = _Meter()
    step = 0
    kept = checkpoints.read(checkpoint, position) if checkpoint and checkpoint.exists() else None
    if kept := broadcast(fabric, kept):
        notes = checkpoints.restore(trainee, kept)
        trainee.calm, step = float(notes["calm"]), int(notes["step"])
        meter.recall(notes["meter"])
    saved = time.monotonic()
    with randomness(fabric.device), as_one(fabric, trainee.modules.values()):
        while True:
            if step % every == 0 or step == steps:
                tick = meter.tick(stage, step, steps, fabric)
                if bad := [name for name, value in tick.metrics.items() if not math.isfinite(value)]:
                    if trainee.calm < 1:
                        raise ScholarsError(_diverged(tick, bad))
                    for name, module in trainee.modules.items():
                        module.load_state_dict(beginning[name])
                    for name, optimizer in trainee.optimizers.items():
                        optimizer.load_state_dict(fresh[name])
                    trainee.calm, step, meter = CALM, 0, _Meter()
                    warnings.warn(_calmer(tick, bad), ScholarsWarning, stacklevel=2)
                    continue
                session.on_tick(tick)
            stopping = agreed(fabric, session.stopping())
            if checkpoint and (stopping or step == steps or time.monotonic() - saved > session.save_every):
                notes = {"position": position, "step": str(step), "calm": str(trainee.calm), "meter": meter.notes()}
                optimizers = trainee.optimizers if step < steps else {}
                checkpoints.save(checkpoint, trainee.modules, optimizers, notes)
                saved = time.monotonic()
            if step == steps:
                return
            if stopping:
                raise Interrupted(f"stopped in stage {stage!r} at step {step} of {steps}")
            torch.manual_seed(seed_of(seed, stage, step))
            meter.add(trainee.step(meter.counted(lambda: placed(draw(), fabric)), step / steps))
            step += 1


def placed(batch: Batch, fabric: Fabric) -> Batch:
    """This process's rows of the batch, on the device that computes."""
    return Batch(*(own_rows(fabric, part).to(fabric.device) for part in batch))


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
        self.calm = 1.0
        place(module, fabric.device)
        self._module = module
        self._live = copy.deepcopy(module) if ema else module
        self._optimizer = torch.optim.AdamW(self._live.parameters(), lr=rate, weight_decay=weight_decay, fused=True)
        self.modules: Mapping[str, nn.Module] = {"module": module, "live": self._live} if ema else {"module": module}
        self.optimizers: Mapping[str, Optimizer] = {"optimizer": self._optimizer}

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """One descent step on one batch."""
        set_rate(self._optimizer, self.calm * self._rate * one_cycle(progress))
        self._live.train()
        batch = draw()
        with self._fabric.autocast():
            loss = self._loss(self._live, batch)
        self._optimizer.zero_grad()
        self._fabric.backward(loss)
        average_gradients(self._fabric, self._live)
        norm = nn.utils.clip_grad_norm_(self._live.parameters(), max_norm=LONGEST)
        self._optimizer.step()
        if self._ema:
            average(self._module, self._live, self._ema)
        return {"loss": loss.detach(), "gradient_norm": norm.detach()}


def one_cycle(progress: float, warm_up: float = 0.1) -> float:
    """Share of the peak learning rate: linear up over ``warm_up``, then half a cosine down to zero.

    After Smith & Topin 2018, arXiv 1708.07120; 0.04 is where torch's OneCycleLR begins. A function of the position, not
    a scheduler with a state of its own.
    """
    if progress < warm_up:
        return 0.04 + 0.96 * progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


@torch.no_grad()
def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The Euclidean norm of the gradients of all parameters together, a scalar."""
    return nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])


@torch.no_grad()
def average(target: nn.Module, source: nn.Module, decay: float) -> None:
    """target <- decay * target + (1 - decay) * source, parameters only; buffers are copied."""
    torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), 1 - decay)
    for mine, other in zip(target.buffers(), source.buffers(), strict=True):
        mine.copy_(other)


class _Meter:
    """Means of what the steps since the last report gave; its notes let a resumed training report the same."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._restart()

    def notes(self) -> str:
        sums = {name: float(value) for name, value in self._sums.items()}
        return json.dumps({"sums": sums, "steps": self._steps, "last": self._last})

    def recall(self, notes: str) -> None:
        noted = json.loads(notes)
        self._sums = {name: torch.tensor(value) for name, value in noted["sums"].items()}
        self._steps, self._last = noted["steps"], noted["last"]

    def _restart(self) -> None:
        self._sums = {}
        self._steps = self._images = 0
        self._since = time.perf_counter()

    def counted(self, draw: Draw) -> Draw:
        def wrapped() -> Batch:
            batch = draw()
            self._images += len(batch.images)
            return batch

        return wrapped

    def add(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
        self._steps += 1

    def tick(self, stage: str, step: int, steps: int, fabric: Fabric) -> Tick:
        if self._steps:
            means = {name: float(total) / self._steps for name, total in self._sums.items()}
            self._last = averaged(fabric, means)
        seconds = time.perf_counter() - self._since
        images = self._images * fabric.world_size
        tick = Tick(stage, step, steps, self._last, images / seconds if seconds > 0 else 0.0)
        self._restart()
        return tick


def _calmer(tick: Tick, bad: Sequence[str]) -> str:
    return (
        f"training diverged: {', '.join(bad)} not finite in stage {tick.stage!r} by step {tick.step} of {tick.steps}. "
        f"The stage begins anew, with its learning rates at {CALM:g} times what is set"
    )


def _diverged(tick: Tick, bad: Sequence[str]) -> str:
    return (
        f"training diverged again: {', '.join(bad)} not finite in stage {tick.stage!r} by step {tick.step} of "
        f"{tick.steps}, with learning rates at {CALM:g} times what is set. Nothing was saved. Set a lower one "
        "(solver.rate, generator.KIND.rate)"
    )
