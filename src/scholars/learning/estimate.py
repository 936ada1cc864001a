"""Estimate how long learning a task takes on this machine, from a few measured steps."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from scholars.backbones import Backbone
from scholars.backbones.look import look_at
from scholars.compute.device import device_for, fork_rng, open_fabric
from scholars.generators.sampling import sample_images
from scholars.learning.arguments import LearnArgs
from scholars.learning.audit import MOST_PROBE_STEPS
from scholars.learning.budget import facts_of, plan_settings
from scholars.learning.dreams import enough_dreams
from scholars.learning.heads import FeatureSet, fit_head, head_steps
from scholars.learning.networks import train_generator, train_solver
from scholars.settings import NORMAL_LOOKS, GeneratorSettings, HeadSettings, Settings, SolverSettings
from scholars.settings.base import planned
from scholars.tasks.task import Task
from scholars.training.batches import Pool
from scholars.training.loop import Session

# Images that the backbone looks at, steps that are taken, dreams that are drawn, and the least examples for them, to
# measure the pace.
_LOOKED_AT, _STEPS, _DREAMS, _EXAMPLES = 32, 6, 128, 256
# Seconds, on two cores, of all that is not measured: loading, memories, saving.
_REST = 3.0
# A step forward and backward takes so many times as long as labelling its images, and a probe's step, of half the
# width, this share of a solver's.
_FORWARD_PER_STEP, _PROBE = 3.0, 0.4


@dataclass(frozen=True)
class Estimate:
    """About how many seconds learning takes, within a factor of two or so on a quiet machine.

    fixed: whatever the budget; scaled: with the normal budget
    """

    fixed: float
    scaled: float

    def seconds(self, scale: float) -> float:
        """Return the seconds with a budget of ``scale`` times the normal one."""
        return self.fixed + scale * self.scaled

    def scale(self, seconds: float) -> float:
        """Return the budget, in times of the normal one, that takes so many seconds; not positive if none does."""
        return (seconds - self.fixed) / max(self.scaled, 1e-9)

    def times(self, count: int) -> "Estimate":
        """Return the estimate of doing it so many times."""
        return Estimate(count * self.fixed, count * self.scaled)

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.fixed + other.fixed, self.scaled + other.scaled)


@dataclass(frozen=True)
class Pace:
    """The seconds of one step of the solver, one of the generator, one dream with its label, one image classified."""

    solver: float = 0.0
    generator: float = 0.0
    dream: float = 0.0
    image: float = 0.0


def estimate(args: LearnArgs, backbone: Backbone | None) -> Estimate:
    """Measure this machine's pace, and return how long this learning will take, audit included."""
    pace = measure_pace(args, backbone)
    found = estimate_learning(args, pace, dreams=args.past == "dreams")
    if backbone is None:
        return found + estimate_audit(args, pace)
    return found if args.new is None else found + estimate_looking(args, backbone)


def estimate_looking(args: LearnArgs, backbone: Backbone) -> Estimate:
    """Let the backbone look at some photos, and return how long it will look at all of the task."""
    looking = _seconds_of_a_look(args.task, backbone, args.settings)
    train, test = looking * len(args.task.train), looking * len(args.task.test)
    if args.settings.backbone and args.settings.backbone.views is not None:
        return Estimate(train * (1 + args.settings.views) + test, 0.0)
    return Estimate(test, train * NORMAL_LOOKS)


def estimate_learning(args: LearnArgs, pace: Pace, dreams: bool) -> Estimate:
    """Return how long the steps take, and the bank; ``dreams``: whether a generator is trained and replayed."""
    tested = len(args.new.test) if args.new else 0
    settings, fixed, scaled = args.settings, _REST + pace.image * tested, 0.0
    normal = settings.model_copy(update={"budget": "normal"})
    plan = plan_settings(normal, facts_of(args))
    solver, generator = plan.solver, plan.generator
    parts = []
    if isinstance(solver, SolverSettings):
        parts.append((pace.solver * planned(solver.steps), settings.image_solver.steps))
    elif isinstance(solver, HeadSettings):
        photos = args.inherited.images + (len(args.new.train) if args.new else 0)
        steps = head_steps(solver, 1.0, photos, len(args.classes))
        parts.append((pace.solver * steps, solver.steps if isinstance(settings.solver, HeadSettings) else None))
    if dreams and isinstance(generator, GeneratorSettings):
        parts.append((pace.generator * planned(generator.steps), settings.trained_generator.steps))
        if args.inherited.dreamers:
            parts.append((pace.dream * planned(plan.replay.bank), settings.replay.bank))
    for seconds, chosen in parts:
        if chosen is None:
            scaled += seconds
        else:
            fixed += seconds
    return Estimate(fixed, scaled)


def estimate_audit(args: LearnArgs, pace: Pace) -> Estimate:
    """Return how long it takes to fit the out-of-distribution detector to dreams, and to audit them."""
    ood, audit = args.settings.ood, args.settings.audit
    images = args.inherited.images + (len(args.new.train) if args.new else 0)
    dreams = enough_dreams(images, ood.dreams) + enough_dreams(images, audit.dreams)
    steps = audit.steps or min(
        MOST_PROBE_STEPS, planned(plan_settings(args.settings, facts_of(args)).image_solver.steps)
    )
    return Estimate(dreams * pace.dream + (steps * pace.solver * _PROBE if audit.dreams else 0.0), 0.0)


def _seconds_of_a_look(task: Task, backbone: Backbone, settings: Settings) -> float:
    """Return the seconds that the backbone takes for one view of one photo, decoded."""
    rows = np.linspace(0, len(task.train) - 1, min(_LOOKED_AT, len(task.train))).astype(np.int64)
    sample = task.train[rows]
    look_at(sample[:1], backbone, 0, settings.image.fit, keep=False)  # the engine is made
    start = _now()
    look_at(sample, backbone, settings.views, settings.image.fit, keep=False)
    return (_now() - start) / len(sample) / (1 + settings.views)


def measure_pace(args: LearnArgs, backbone: Backbone | None) -> Pace:
    """Take a few steps of every network that this learning trains."""
    settings, classes = plan_settings(args.settings, facts_of(args)), len(args.classes)
    # In this process alone: others that learn together have nothing to do yet.
    fabric, generator, solver = open_fabric(settings.compute), settings.generator, settings.solver
    count = max(_EXAMPLES, classes)
    labels = torch.arange(count) % classes
    inputs = torch.zeros(count, settings.image.channels, settings.image.size, settings.image.size).byte()
    if backbone:
        inputs = torch.randn(count, backbone.record.features).half()
    pool = Pool(inputs, labels, classes, labels)
    ticks: list[float] = []
    session = Session(on_tick=lambda tick: ticks.append(_now()))

    def pace() -> float:
        # The first step takes longer than all others, and whatever else the machine does prolongs some of them.
        found = float(np.median(np.diff(ticks)[1:]))
        ticks.clear()
        return found

    with fork_rng(device_for(settings.compute).device):
        of_solver = of_generator = of_dream = of_image = 0.0
        if isinstance(generator, GeneratorSettings):
            few = settings.model_copy(update={"generator": generator.model_copy(update={"steps": _STEPS})})
            features = inputs if backbone else None
            trained = train_generator(
                pool, conditions=classes, settings=few, seed=0, fabric=fabric, features=features, session=session
            )
            of_generator = pace()
            if not backbone:
                start = _now()
                sample_images(trained, torch.arange(_DREAMS) % classes, settings)
                of_dream = (_now() - start) / _DREAMS
        if isinstance(solver, SolverSettings):
            few = settings.model_copy(update={"solver": solver.model_copy(update={"steps": _STEPS})})
            train_solver(pool, classes=classes, settings=few, seed=0, fabric=fabric, session=session)
            of_solver = pace()
            of_image = of_solver / solver.batch / _FORWARD_PER_STEP
        elif isinstance(solver, HeadSettings):
            few = settings.model_copy(update={"solver": solver.model_copy(update={"steps": _STEPS})})
            names = [str(number) for number in range(classes)]
            fit_head(FeatureSet(inputs, labels, count), names, few, 0, fabric, session)
            of_solver = pace()
    return Pace(of_solver, of_generator, of_dream + of_image, of_image)


def _now() -> float:
    return time.perf_counter()
