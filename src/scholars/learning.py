"""How a scholar learns the next task: deep generative replay (Shin et al. 2017, arXiv 1705.08690).

The new scholar's solver S and generator G train on a mix of the new task's real data and the previous scholar's dreams
x' ~ G_prev, which S_prev labels (eq. 1; r is the share of new data):

    L = r * E_(x, y) [ CE(S(x), y) ]  +  (1 - r) * E_x' [ CE(S(x'), S_prev(x')) ]

and G is fitted to the same mix of images. No earlier data is read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from scholars.compute import open_fabric, randomness, seed_of
from scholars.config import Settings
from scholars.errors import InputError, Interrupted, ScholarsError
from scholars.evaluate import accuracy
from scholars.fitting import Descent, Session, Tick, fit
from scholars.generators import Generator, build_generator
from scholars.replay import Batch, Mix, Pool, Source, ratio_of_new, shares
from scholars.scholar import Scholar, TaskRecord
from scholars.solvers import CNN, shifted
from scholars.tasks import Task


def learn(
    task: Task,
    previous: Scholar | None = None,
    *,
    settings: Settings | None = None,
    seed: int = 0,
    stored: Sequence[Task] | None = None,
    session: Session | None = None,
) -> Scholar:
    """Learn ``task`` and return a new scholar that knows it and all that ``previous`` knew.

    task: images of any shape; brought to the scholar's own
    previous: the scholar to go on from; None starts a lineage
    settings: how to learn; default: as ``previous`` did
    seed: with equal arguments, equal seeds give bit-identical scholars on one machine
    stored: None dreams of the past. A sequence replays these tasks' real data instead and trains no generator: the
        brackets, ``[]`` for none (naive), all earlier tasks for exact replay
    session: where unfinished work is kept, who is told about progress

    Raises InputError for a task or settings that do not fit ``previous``, Interrupted when asked to stop.
    """
    settings = settings or (previous.settings if previous else Settings())
    session = session or Session()
    _check(task, previous, settings)
    fabric = open_fabric(settings.compute)
    # Every generation has its own randomness, whatever seed its task is learned with.
    position = seed_of(seed, "generation", previous.generation + 1 if previous else 1)
    seconds: dict[str, float] = {}
    classes = union(previous.classes if previous else (), *(t.classes for t in stored or ()), task.classes)

    with _timed(seconds, "bank"):
        mix = _mix(task, previous, stored, classes, settings, seed, session)
    with _timed(seconds, "solver"):
        solver = _teach_solver(mix, previous, len(classes), settings, position, fabric, session)
    generator = None
    if stored is None:
        with _timed(seconds, "generator"):
            generator = _teach_generator(mix, previous, len(classes), settings, position, fabric, session)

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
        settings=settings,
    )
    return Scholar(solver, generator, classes, (*scholar.lineage, record), settings)


def union(*names: Sequence[str]) -> tuple[str, ...]:
    """All class names, each once, in the order in which they first appear: known outputs keep their place."""
    return tuple(dict.fromkeys(name for group in names for name in group))


def _mix(
    task: Task,
    previous: Scholar | None,
    stored: Sequence[Task] | None,
    classes: Sequence[str],
    settings: Settings,
    seed: int,
    session: Session,
) -> Mix:
    """What every batch is drawn from: r of the new task, 1 - r of the past as it is remembered."""
    ratio = settings.replay.ratio
    new = _real(task, classes, settings)
    if stored is not None:
        tasks = [*stored, task]
        parts = shares(ratio, [len(t.classes) for t in tasks])
        return Mix(list(zip(parts, [*(_real(t, classes, settings) for t in stored), new], strict=True)))
    if previous is None:
        return Mix([(1.0, new)])
    r = ratio_of_new(ratio, [*(len(record.classes) for record in previous.lineage), len(task.classes)])
    bank = dream_bank(previous, settings, seed, session)
    past = Pool(bank.images, bank.targets if settings.replay.labels == "soft" else bank.labels, len(classes))
    return Mix([(r, new), (1 - r, past)])


def _real(task: Task, classes: Sequence[str], settings: Settings) -> Pool:
    data = task.resized(settings.image.channels, settings.image.size).train
    return Pool.of(data, [classes.index(name) for name in task.classes], len(classes))


def dream_bank(previous: Scholar, settings: Settings, seed: int, session: Session | None = None) -> Batch:
    """The bank: ``replay.bank`` dreams of the previous scholar, labelled by it; the same ones that `learn` replays."""
    session = session or Session()
    count, done = settings.replay.bank, 0
    batches: list[Batch] = []
    began = time.perf_counter()
    for batch in previous.dreaming(count, seed=seed_of(seed, "bank", previous.generation)):
        if session.stopping():
            raise Interrupted(f"stopped while dreaming, at {done} of {count} dreams")
        batches.append(batch)
        done += len(batch.images)
        session.on_tick(Tick("bank", done, count, {}, done / (time.perf_counter() - began)))
    return Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


def _teach_solver(
    mix: Source, previous: Scholar | None, classes: int, settings: Settings, seed: int, fabric: Fabric, session: Session
) -> nn.Module:
    s = settings.solver
    with randomness(fabric):
        torch.manual_seed(seed_of(seed, "solver", -1))
        solver = CNN(s, settings.image, classes)
    if previous and s.start == "warm":
        _adopt(solver, previous.solver.state_dict(), "solver")

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        images, targets = batch.images.to(fabric.device), batch.targets.to(fabric.device)
        return F.cross_entropy(model(shifted(images, s.shift)).float(), targets)

    trainee = Descent(fabric, solver, loss, rate=s.rate, weight_decay=s.weight_decay)
    fit(trainee, lambda: mix.draw(s.batch), fabric=fabric, steps=s.steps, seed=seed, stage="solver", session=session)
    return _sound(solver, "solver")


def _teach_generator(
    mix: Source, previous: Scholar | None, classes: int, settings: Settings, seed: int, fabric: Fabric, session: Session
) -> Generator:
    g = settings.generator
    with randomness(fabric):
        torch.manual_seed(seed_of(seed, "generator", -1))
        generator = build_generator(g, settings.image, classes)
    if previous and previous.generator and g.start == "warm" and isinstance(previous.generator, type(generator)):
        _adopt(generator, previous.generator.state_dict(), "generator")
    fit(
        generator.trainee(fabric),
        lambda: _sized(mix.draw(g.chosen.batch), g.size),
        fabric=fabric,
        steps=g.chosen.steps,
        seed=seed,
        stage="generator",
        session=session,
    )
    _sound(generator, "generator")
    return generator


def _adopt(module: nn.Module, weights: Mapping[str, Tensor], part: str) -> None:
    """Start from ``weights``. Where more classes are known now, theirs come first and the new ones stay fresh."""
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
    return Batch(images.round_().to(torch.uint8), batch.targets)


def _sound(module: nn.Module, part: str) -> nn.Module:
    for name, value in module.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise ScholarsError(f"training diverged: {part} weight {name!r} is not finite. Nothing was saved.")
    return module


def _check(task: Task, previous: Scholar | None, settings: Settings) -> None:
    if previous is None:
        if len(task.classes) < 2:
            raise InputError(f"task {task.name!r} has one class only; a first task needs two or more")
    elif settings.image != previous.settings.image:
        raise InputError(
            f"a scholar's image shape is fixed by its first task: it is {previous.settings.image}, not {settings.image}"
        )


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 3)
