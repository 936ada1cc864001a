"""How a scholar learns the next task: deep generative replay (Shin et al. 2017, arXiv 1705.08690).

The new scholar's solver S and generator G train on a mix of the new task's real data and the previous scholar's dreams
x' ~ G_prev, which S_prev labels (eq. 1; r is the share of new data):

    L = r * E_(x, y) [ CE(S(x), y) ]  +  (1 - r) * E_x' [ CE(S(x'), S_prev(x')) ]

and G is fitted to the same mix of images. No earlier data is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute import open_fabric, randomness, seed_of
from scholars.dreams import Fresh, Reviewed, familiarised, remembered
from scholars.errors import InputError, ScholarsError
from scholars.evaluate import accuracy
from scholars.fitting import Descent, Session, Tick, fit
from scholars.generators import Generator, build_generator
from scholars.records import TaskRecord
from scholars.replay import Augmented, Batch, Mix, Pool, Source, ratio_of_new, shares
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.solvers import Solver, build_solver
from scholars.tasks import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Past = Literal["dreams", "new images"] | Sequence[Task]


def learn(
    task: Task,
    previous: Scholar | None = None,
    *,
    settings: Settings | None = None,
    seed: int = 0,
    past: Past = "dreams",
    session: Session | None = None,
) -> Scholar:
    """Learn ``task`` and return a new scholar that knows it and all that ``previous`` knew.

    task: images of any shape; brought to the scholar's own
    previous: the scholar to go on from; None starts a lineage
    settings: how to learn; default: as ``previous`` did
    seed: with equal arguments, equal seeds give bit-identical scholars on one machine
    past: what stands for the past in every batch. With anything but dreams no generator is trained: "new images", as
        ``previous`` sees them (learning without forgetting, Li & Hoiem 2016), or the real data of some tasks, ``[]``
        for nothing (naive), all earlier tasks for exact replay
    session: where unfinished work is kept, who is told about progress

    Raises InputError for a task or settings that do not fit ``previous``, Interrupted when asked to stop.
    """
    settings = settings or (previous.settings if previous else Settings())
    session = session or Session()
    metrics: dict[str, dict[str, float]] = {}
    session = replace(session, on_tick=_noting(metrics, session.on_tick))
    _check(task, previous, settings)
    fabric = open_fabric(settings.compute)
    # Every generation has its own randomness, whatever seed its task is learned with.
    position = seed_of(seed, "generation", previous.generation + 1 if previous else 1)
    seconds: dict[str, float] = {}
    stored = () if isinstance(past, str) else past
    classes = union(previous.classes if previous else (), *(t.classes for t in stored), task.classes)

    with _timed(seconds, "bank"):
        mix = _mix(task, previous, past, classes, settings, seed, session)
    with _timed(seconds, "solver"):
        solver = teach_solver(mix.solver, previous, len(classes), settings, position, fabric, session)
    generator = None
    if past == "dreams":
        with _timed(seconds, "generator"):
            conditions = (len(previous.conditions) if previous else 0) + len(task.classes)
            generator = teach_generator(mix.generator, previous, conditions, settings, position, fabric, session)

    scholar = Scholar(solver, generator, classes, previous.lineage if previous else (), settings)
    record = TaskRecord(
        name=task.name,
        classes=task.classes,
        train_count=len(task.train),
        test_count=len(task.test),
        accuracy=accuracy(scholar, task),
        seed=seed,
        learned_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=seconds,
        dreamt=round(metrics["bank"]["looked"] if "bank" in metrics else mix.afresh),
        metrics={stage: metrics[stage] for stage in ("solver", "generator") if stage in metrics},
        settings=settings,
    )
    scholar = Scholar(solver, generator, classes, (*scholar.lineage, record), settings)
    return familiarised(scholar, seed) if generator else scholar


def union(*names: Sequence[str]) -> tuple[str, ...]:
    """All class names, each once, in the order in which they first appear: known outputs keep their place."""
    return tuple(dict.fromkeys(name for group in names for name in group))


@dataclass(frozen=True)
class Mixture:
    """r of the new task, 1 - r of the past as it is remembered: as the solver sees it, and as the generator does.

    afresh: how many dreams will be drawn for single batches, on average
    """

    solver: Source
    generator: Source
    afresh: float = 0.0


def _mix(
    task: Task,
    previous: Scholar | None,
    past: Past,
    classes: Sequence[str],
    settings: Settings,
    seed: int,
    session: Session,
) -> Mixture:
    policy, s = settings.replay, settings.solver
    known = len(previous.conditions) if previous else 0
    new = _real(task, classes, settings, known)

    def varied(source: Source) -> Source:
        return Augmented(source, s.shift, s.flip)

    if not isinstance(past, str):
        tasks = [*past, task]
        parts = shares(policy.ratio, [len(t.classes) for t in tasks])
        pools = [*(_real(t, classes, settings, 0) for t in past), new]
        mix = Mix([(share, varied(pool)) for share, pool in zip(parts, pools, strict=True)])
        return Mixture(mix, mix)
    if previous is None:
        return Mixture(varied(new), new)
    r = ratio_of_new(policy.ratio, [*(len(record.classes) for record in previous.lineage), len(task.classes)])
    if past == "new images":
        old: Source = Reviewed(previous, new, policy, len(classes))
    else:
        old = remembered(previous, policy, len(classes), seed, session)
    afresh = 0.0
    if isinstance(old, Fresh):
        g = settings.generator.chosen
        afresh = (1 - r) * (s.batch * s.steps + g.batch * g.steps)
    dreams = Augmented(old, s.shift if policy.shift is None else policy.shift, s.flip, policy.mixup)
    return Mixture(Mix([(r, varied(new)), (1 - r, dreams)]), Mix([(r, new), (1 - r, old)]), afresh)


def _real(task: Task, classes: Sequence[str], settings: Settings, first_condition: int) -> Pool:
    data = task.resized(settings.image.channels, settings.image.size).train
    return Pool.of(data, [classes.index(name) for name in task.classes], len(classes), first_condition)


def teach_solver(
    source: Source,
    previous: Scholar | None,
    classes: int,
    settings: Settings,
    seed: int,
    fabric: Fabric,
    session: Session,
    stage: str = "solver",
) -> Solver:
    """A solver of ``classes`` outputs, trained on ``source`` as ``settings.solver`` says."""
    s = settings.solver
    with randomness(fabric.device):
        torch.manual_seed(seed_of(seed, "solver", -1))
        solver = build_solver(s, settings.image, classes)
    rate = s.rate
    if previous and s.start == "warm":
        _adopt(solver, previous.solver.state_dict(), "solver")
        rate = s.warm_rate or s.rate

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model(batch.images).float(), batch.targets)

    trainee = Descent(fabric, solver, loss, rate=rate, weight_decay=s.weight_decay)
    fit(trainee, lambda: source.draw(s.batch), fabric=fabric, steps=s.steps, seed=seed, stage=stage, session=session)
    _sound(solver, "solver")
    return solver


def teach_generator(
    source: Source,
    previous: Scholar | None,
    conditions: int,
    settings: Settings,
    seed: int,
    fabric: Fabric,
    session: Session,
) -> Generator:
    """A generator of ``conditions``, trained on ``source`` as ``settings.generator`` says."""
    g = settings.generator
    with randomness(fabric.device):
        torch.manual_seed(seed_of(seed, "generator", -1))
        generator = build_generator(g, settings.image, conditions)
    if previous and previous.generator and g.start == "warm" and isinstance(previous.generator, type(generator)):
        _adopt(generator, previous.generator.state_dict(), "generator")
    fit(
        generator.trainee(fabric),
        lambda: _sized(source.draw(g.chosen.batch), g.size),
        fabric=fabric,
        steps=g.chosen.steps,
        seed=seed,
        stage="generator",
        session=session,
    )
    _sound(generator, "generator")
    return generator


def _adopt(module: nn.Module, weights: Mapping[str, Tensor], part: str) -> None:
    """Start from ``weights``. What belongs to new classes or conditions comes after the known, and stays fresh."""
    own = module.state_dict()
    for name, value in weights.items():
        if name not in own or any(new < old for new, old in zip(own[name].shape, value.shape, strict=True)):
            raise InputError(
                f"a warm start needs the network that was learned before: {part} {name!r} has another shape now. "
                f"Keep {part}'s width and the image size, or use --set {part}.start=fresh"
            )
        own[name][tuple(slice(0, n) for n in value.shape)] = value
    module.load_state_dict(own)


def _sized(batch: Batch, size: int | None) -> Batch:
    """The batch at the size that the generator works at."""
    if size is None or batch.images.shape[-1] == size:
        return batch
    images = F.interpolate(batch.images.float(), (size, size), mode="bilinear", antialias=True)
    return batch._replace(images=images.round_().to(torch.uint8))


def _sound(module: nn.Module, part: str) -> None:
    for name, value in module.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise ScholarsError(f"training diverged: {part} weight {name!r} is not finite. Nothing was saved.")


def _check(task: Task, previous: Scholar | None, settings: Settings) -> None:
    if previous is None:
        if len(task.classes) < 2:
            raise InputError(f"task {task.name!r} has one class only; a first task needs two or more")
    elif settings.image != previous.settings.image:
        raise InputError(
            f"a scholar's image shape is fixed by its first task: it is {previous.settings.image}, not {settings.image}"
        )


def _noting(metrics: dict[str, dict[str, float]], on_tick: Callable[[Tick], None]) -> Callable[[Tick], None]:
    """Keep each stage's latest report in ``metrics``, and pass it on."""

    def noted(tick: Tick) -> None:
        metrics[tick.stage] = dict(tick.metrics)
        on_tick(tick)

    return noted


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 3)
