"""How a scholar learns the next task: deep generative replay (Shin et al. 2017, arXiv 1705.08690).

The new scholar's solver S and generator G train on a mix of the new task's real data and the previous scholar's dreams
x' ~ G_prev, which S_prev labels (eq. 1; r is the share of new data):

    L = r * E_(x, y) [ CE(S(x), y) ]  +  (1 - r) * E_x' [ CE(S(x'), S_prev(x')) ]

and G is fitted to the same mix of images. No earlier data is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from scholars.compute import seed_of
from scholars.dreams import Fresh, Reviewed, check_replay, familiarised, preview, remembered
from scholars.errors import InputError
from scholars.evaluate import accuracy
from scholars.fitting import ALONE, Session, Tick
from scholars.generators import Generator
from scholars.records import TaskRecord
from scholars.replay import Augmented, Mix, Pool, Source, ratio_of_new, shares
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, Settings
from scholars.solvers import Solver
from scholars.tasks import Task
from scholars.teaching import teach_generator, teach_solver
from scholars.team import carry_out, check_shared_out, fabric_of, processes
from scholars.undertaking import SPENT, claim, timed

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Replayed = Literal["dreams", "new images"] | Sequence[Task]


def learn(
    task: Task,
    previous: Scholar | None = None,
    *,
    settings: Settings | None = None,
    seed: int = 0,
    past: Replayed = "dreams",
    session: Session | None = None,
) -> Scholar:
    """Learn ``task`` and return a new scholar that knows it and all that ``previous`` knew.

    Prints nothing, and does not audit the dreams: ``session`` is told of progress, and `scholars.audit` looks at them.

    task: images of any shape; brought to the scholar's own
    previous: the scholar to go on from; None starts a lineage
    settings: how to learn; default: as ``previous`` did
    seed: with equal arguments, equal seeds give bit-identical scholars on one machine's CPU with as many threads
    past: what stands for the past in every batch. With anything but dreams no generator is trained: "new images", as
        ``previous`` sees them (learning without forgetting, Li & Hoiem 2016), or the real data of some tasks, ``[]``
        for nothing (naive), all earlier tasks for exact replay
    session: where unfinished work is kept, who is told about progress. Work found in its folder is resumed if it
        belongs to this very call, else discarded

    Raises InputError for a task or settings that do not fit ``previous``, Interrupted when asked to stop.
    """
    settings = settings or (previous.settings if previous else Settings())
    session = session or Session()
    metrics: dict[str, dict[str, float]] = {}
    session = replace(session, on_tick=_noting(metrics, session.on_tick))
    _check(task, previous, settings, past)
    if session.folder:
        claim(session.folder, task, previous, settings, seed, past)
    fabric = fabric_of(settings.compute)
    # Other processes have devices of their own, and would be given weights on this one's.
    sent = previous.on(ComputeSettings(device="cpu")) if previous and processes() > 1 else previous
    course = Course(task, sent, past, settings, seed)
    taught = carry_out(fabric, partial(_taught, course), session)
    scholar = Scholar(taught.solver, taught.generator, course.classes, previous.lineage if previous else (), settings)
    record = TaskRecord(
        name=task.name,
        classes=task.classes,
        train_count=len(task.train),
        test_count=len(task.test),
        accuracy=accuracy(scholar, task),
        seed=seed,
        learned_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=taught.seconds,
        dreamt=taught.dreamt + round(metrics["bank"]["looked"] if "bank" in metrics else 0),
        metrics={stage: metrics[stage] for stage in ("solver", "generator") if stage in metrics},
        settings=settings,
    )
    scholar = replace(scholar, lineage=(*scholar.lineage, record))
    return familiarised(scholar, seed) if scholar.generator else scholar


@dataclass(frozen=True)
class Course:
    """What is learned, after what, and how: the arguments of `learn`, and what follows from them."""

    task: Task
    previous: Scholar | None
    past: Replayed
    settings: Settings
    seed: int

    @property
    def classes(self) -> tuple[str, ...]:
        """All that will be known."""
        stored = () if isinstance(self.past, str) else self.past
        known = self.previous.classes if self.previous else ()
        return union(known, *(task.classes for task in stored), self.task.classes)

    @property
    def known(self) -> int:
        """How many conditions the generator has to go on from."""
        return len(self.previous.conditions) if self.previous else 0

    @property
    def position(self) -> int:
        """Where all randomness comes from. Every generation has its own, whatever seed its task is learned with."""
        return seed_of(self.seed, "generation", self.previous.generation + 1 if self.previous else 1)


@dataclass(frozen=True)
class Taught:
    """What comes of teaching: the networks, the seconds of each stage, how many dreams besides those of a bank."""

    solver: Solver
    generator: Generator | None
    seconds: dict[str, float]
    dreamt: int


def _taught(course: Course, fabric: Fabric, session: Session = ALONE) -> Taught:
    """Teach generator and solver, in every process that learns together; ``session`` is the first one's."""
    seconds: dict[str, float] = {}
    if course.previous:
        course = replace(course, previous=course.previous.on(course.settings.compute))
    taking = partial(timed, session.folder / SPENT if session.folder else None, session, seconds)
    previous, settings, position = course.previous, course.settings, course.position
    with taking("bank") as noting:
        mix = _mixture(course, fabric, noting)
    generator = None
    if course.past == "dreams":
        with taking("generator") as noting:
            conditions = course.known + len(course.task.classes)
            generator = teach_generator(
                mix.for_generator(),
                previous=previous,
                conditions=conditions,
                settings=settings,
                seed=position,
                fabric=fabric,
                session=noting,
            )
        with taking("preview") as noting:
            mix = _previewed(mix, generator, course, fabric, noting)
    with taking("solver") as noting:
        solver = teach_solver(
            mix.for_solver(),
            previous=previous,
            classes=len(course.classes),
            settings=settings,
            seed=position,
            fabric=fabric,
            session=noting,
        )
    return Taught(solver, generator, seconds, mix.dreamt)


def union(*names: Sequence[str]) -> tuple[str, ...]:
    """All class names, each once, in the order in which they first appear: known outputs keep their place."""
    return tuple(dict.fromkeys(name for group in names for name in group))


@dataclass(frozen=True)
class Mixture:
    """What a batch is made of: r of the new task, 1 - r of the past as it is remembered.

    ratio: r
    generator_ratio: the same for the generator
    new, past: images as they are, for the generator; no past for a first task
    vary, vary_past: how either is augmented for the solver
    preview: dreams of the new task, and their share of its part of the solver's batches
    dreamt: how many dreams it takes, besides those of a bank
    """

    ratio: float
    generator_ratio: float
    new: Source
    past: Source | None
    vary: Callable[[Source], Source]
    vary_past: Callable[[Source], Source]
    preview: tuple[float, Source] | None = None
    dreamt: int = 0

    def for_generator(self) -> Source:
        """Batches as the generator sees them."""
        r = self.generator_ratio
        return Mix([(r, self.new), (1 - r, self.past)]) if self.past else self.new

    def for_solver(self) -> Source:
        """Batches as the solver sees them."""
        new = self.new
        if self.preview:
            share, dreams = self.preview
            new = Mix([(1 - share, new), (share, dreams)])
        if self.past is None:
            return self.vary(new)
        return Mix([(self.ratio, self.vary(new)), (1 - self.ratio, self.vary_past(self.past))])


def _mixture(course: Course, fabric: Fabric, session: Session) -> Mixture:
    task, previous, past, settings = course.task, course.previous, course.past, course.settings
    policy, classes = settings.replay, course.classes
    new = _real(task, classes, settings, course.known)
    vary = partial(Augmented.by, settings.solver)

    def vary_dreams(source: Source) -> Source:
        shift = settings.solver.shift if policy.shift is None else policy.shift
        # A solver labelled them, as softly as it saw fit.
        return replace(vary(source), shift=shift, mixup=policy.mixup, smoothing=0.0)

    if not isinstance(past, str):
        *parts, r = shares(policy.ratio, [len(t.classes) for t in (*past, task)])
        stored = [(share, _real(t, classes, settings, 0)) for share, t in zip(parts, past, strict=True)]
        return Mixture(r, r, new, Mix(stored) if stored and r < 1 else None, vary, vary)
    if previous is None:
        return Mixture(1.0, 1.0, new, None, vary, vary_dreams)
    r = ratio_of_new(policy.ratio, [*(len(record.classes) for record in previous.lineage), len(task.classes)])
    if past == "new images":
        return Mixture(r, r, new, Reviewed(previous, new, policy, len(classes)), vary, vary_dreams)
    # What it has never painted a generator learns from these images alone; of the past it starts with knowing how.
    least = 0.5 if len(classes) > len(previous.classes) else 0.0
    painted = max(r, least) if policy.generator_ratio == "auto" else policy.generator_ratio
    old, afresh = remembered(previous, policy, len(classes), course.seed, session, fabric), 0.0
    if isinstance(old, Fresh):
        s, g = settings.solver, settings.generator.chosen
        afresh = (1 - r) * s.batch * s.steps + (1 - painted) * g.batches_per_step * g.batch * g.steps
    return Mixture(r, painted, new, old, vary, vary_dreams, dreamt=round(afresh))


def _previewed(mix: Mixture, generator: Generator, course: Course, fabric: Fabric, session: Session) -> Mixture:
    """The mixture with dreams of the new task, where ``replay.preview`` asks for them.

    When all that is real is new and all that is dreamt is old, a solver tells new from old by what is real, and takes
    every real image for a new class. Dreams of the new classes take that from it, if they look like the others: those
    of a flow betray which generation drew them, and harm (docs/measurements.md).
    """
    task, previous, settings, classes = course.task, course.previous, course.settings, course.classes
    share = settings.replay.preview
    if share == "auto":
        brings = previous is not None and not set(task.classes) <= set(previous.classes)
        share = 0.5 if brings and settings.generator.chosen.dreams_pass_for_real else 0.0
    if not share or previous is None:
        return mix
    outputs = [classes.index(name) for name in task.classes]
    count = max(len(outputs), round(settings.replay.bank * mix.ratio))
    dreams = preview(
        generator,
        count,
        previous=previous,
        outputs=outputs,
        classes=len(classes),
        settings=settings,
        seed=course.position,
        session=session,
        fabric=fabric,
    )
    return replace(mix, preview=(share, dreams), dreamt=mix.dreamt + count)


def _real(task: Task, classes: Sequence[str], settings: Settings, first_condition: int) -> Pool:
    data = task.train.resized(settings.image.channels, settings.image.size)
    return Pool.of(data, [classes.index(name) for name in task.classes], len(classes), first_condition)


def _check(task: Task, previous: Scholar | None, settings: Settings, past: Replayed) -> None:
    if not isinstance(task, Task):
        raise InputError(f"a task is learned, not a {type(task).__name__}: open it, by scholars.open_task")
    task.check_classes()
    if previous and past == "dreams":
        check_replay(settings.replay, previous.settings.generator, len(previous.conditions))
    if previous is None:
        stored = () if isinstance(past, str) else past
        if len(union(*(one.classes for one in stored), task.classes)) < 2:
            raise InputError(f"task {task.name!r} has one class only; a first task needs two or more")
    elif settings.image != previous.settings.image:
        raise InputError(
            f"a scholar's image shape is fixed by its first task: it is {previous.settings.image}, not {settings.image}"
        )
    check_shared_out("solver.batch", settings.solver.batch)
    if past == "dreams":
        check_shared_out(f"generator.{settings.generator.chosen_key}.batch", settings.generator.chosen.batch)


def _noting(metrics: dict[str, dict[str, float]], on_tick: Callable[[Tick], None]) -> Callable[[Tick], None]:
    """Keep each stage's latest report in ``metrics``, and pass it on."""

    def noted(tick: Tick) -> None:
        metrics[tick.stage] = dict(tick.metrics)
        on_tick(tick)

    return noted
