"""Say what a scholar is about to learn, before it does: classes, counts, the split, what was left out, the time."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from scholars.backbones import Backbone
from scholars.errors import counted, shortlist
from scholars.learning.arguments import LearnArgs, union_of_classes
from scholars.learning.budget import facts_of, plan_settings
from scholars.learning.estimate import estimate
from scholars.learning.minutes import LEAST
from scholars.scholar import Scholar
from scholars.settings import GeneratorSettings, Settings, SolverSettings
from scholars.tasks.images import Images
from scholars.tasks.task import Task, nfc

_SPLITS = {
    "given": "the test part was given",
    "held out": "the test images are held out by their content, about a fifth in all",
    "none": "without a test image, its accuracy will be unknown",
}


def describe_plan(
    task: Task, previous: Scholar | None, settings: Settings, backbone: Backbone | None, refit: bool = False
) -> Iterator[str]:
    """Yield lines for people about what will be learned. The time is measured last, by a few steps.

    task: as it was opened; the backbone has not looked yet
    settings, backbone: those that it will be learned with
    """
    known = previous.classes if previous else ()
    yield (
        f"{task.name}: {counted(len(task.train), 'image')} to train on, {len(task.test):,} to test; "
        f"{_SPLITS[task.split if len(task.test) else 'none']}{', and learned after the test' if refit else ''}"
    )
    counts = {
        name: f"{name} {int((task.train.labels == label).sum()):,} + {int((task.test.labels == label).sum()):,}"
        for label, name in enumerate(task.classes)
    }
    for names, what in (
        ([name for name in task.classes if name not in known], "new"),
        ([name for name in task.classes if name in known], "known"),
    ):
        if names:
            kind = f"{what} class{'es' * (len(names) > 1)}"
            yield f"{len(names):,} {kind} (train + test): {shortlist([counts[name] for name in names], ', ')}"
    if previous and backbone:
        yield f"backbone: {backbone.record.name}, as before"
    if previous is None and backbone is None:
        colours = "grey" if settings.image.channels == 1 else "in colour"
        yield f"images: {settings.image.size} pixels a side, {colours}, as for all later tasks"
    args = LearnArgs(task, previous, "dreams", settings, 0)
    seconds = estimate(args, backbone).seconds(settings.scale)
    steps = describe_steps(plan_settings(settings, facts_of(args)))
    yield f"budget: {settings.described_budget}{steps}"
    seconds *= 2 if refit else 1
    yield f"this takes about {describe_seconds(seconds)}"
    if settings.minutes and settings.budget == LEAST and seconds > 60 * settings.minutes:
        yield "warning: that is more than was asked for, and this budget, the least, teaches next to nothing"


def describe_steps(plan: Settings) -> str:
    """Return the steps of a plan for people, after a colon; nothing where no network is trained by steps."""
    solver, generator = plan.solver, plan.generator
    steps = [f"{solver.steps:,} steps of the solver"] if isinstance(solver, SolverSettings) and solver.steps else []
    if isinstance(generator, GeneratorSettings) and generator.steps:
        steps.append(f"{generator.steps:,} of the generator")
    return f": {', '.join(steps)}" if steps else ""


def describe_seconds(seconds: float) -> str:
    """Return a time for people, in steps that an estimate deserves: ``5 seconds``, ``2 minutes``, ``3 hours``."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{round(seconds / 3600)} hours"


def task_warnings(task: Task, previous: Scholar | None) -> Iterator[str]:
    """Yield what is suspicious about a task, which may be meant all the same."""
    known = previous.classes if previous else ()
    if previous and task.name in [record.name for record in previous.tasks]:
        yield f"a task called {task.name!r} was learned before; it is learned again, from this data"
    alike: dict[str, str] = {}
    for name in union_of_classes(known, task.classes):
        other = alike.setdefault(" ".join(nfc(name).casefold().split()), name)
        if other != name:
            yield f"warning: classes {other!r} and {name!r} differ only in case, spaces or Unicode; they count as two"
    if task.split == "private":
        return
    if task.train.features is not None:
        plain = task.train.features[:, 0]
        for label, name in enumerate(task.classes):
            own = plain[task.train.labels == label]
            if len(own) > 1 and bool((own == own[0]).all()):
                yield f"warning: to the backbone every training image of class {name!r} looks the same"
        return
    darkest, brightest = _extremes(task.train)
    for label, name in enumerate(task.classes):
        own_rows = task.train.labels == label
        if own_rows.any() and darkest[own_rows].min() == brightest[own_rows].max():
            yield f"warning: every training image of class {name!r} is of one and the same colour"


def _extremes(data: Images) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the darkest and the brightest value of each image."""
    extremes = [(piece.min(axis=(1, 2, 3)), piece.max(axis=(1, 2, 3))) for piece in data.chunks()]
    darkest, brightest = zip(*extremes, strict=True)
    return np.concatenate(darkest), np.concatenate(brightest)
