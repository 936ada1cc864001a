"""The audit of a scholar's dreams: would the next generation remember? Only real test parts judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from scholars.compute import open_fabric, seed_of
from scholars.dreams import labelled
from scholars.errors import InputError, shortlist
from scholars.evaluate import Judged, judge
from scholars.evaluate.likeness import covered, frechet_distance, nearest
from scholars.fitting import Session
from scholars.records import Audit, ClassAudit, TaskAudit
from scholars.replay import Augmented, Batch, Pool, joined
from scholars.scholar import Scholar
from scholars.tasks import Images, Task
from scholars.tasks.shapes import fit_images
from scholars.teaching import teach_solver

# Copies are looked for at this many pixels a side, which a copy survives: a seventh of the numbers of 32 x 32.
GLANCE = 12
# Of the dreams that were asked for as a class, the share below which most of them teach something else.
MISTAKEN = 0.5
# Of how much real images vary, the share below which dreams are all one picture.
COLLAPSED = 0.2
# Of the dreams, ten times the share of real test images that are as near to a training image, which is 0.001.
COPIES = 0.01
# Training images that are compared at a time.
PIECE = 20_000


def audit(scholar: Scholar, tasks: Sequence[Task], *, seed: int = 0, session: Session | None = None) -> Audit:
    """Look at dreams of ``scholar`` beside the real images of ``tasks``.

    There are ``settings.audit.dreams`` of them, or one for each class of each task if that is more.

    tasks: tasks of its lineage whose data is at hand; the more, the more is known. None is learned from.

    Raises InputError for a scholar that cannot dream, or a task that it never learned.
    """
    settings = scholar.settings
    names = [record.name for record in scholar.lineage]
    for task in tasks:
        if task.name not in names:
            raise InputError(f"cannot audit dreams of {task.name!r}: this scholar learned {', '.join(names)}")
    if not settings.audit.dreams:
        raise InputError("audit.dreams=0 means no audit: set how many dreams to look at")
    tasks = [task.resized(settings.image.channels, settings.image.size) for task in tasks]
    # One of each class of each task at least: what was not asked for is not dying out.
    count = max(settings.audit.dreams, len(scholar.conditions))
    dreamt = joined(scholar.dreaming(count, seed=seed_of(seed, "audit", scholar.generation)))
    images = dreamt.images
    pupil = _taught_by(scholar, dreamt, seed, session or Session())
    judged = [judge(pupil, task) for task in tasks]
    classes = _classes(scholar, dreamt, judged)
    seen = scholar.features(images)
    glances = _glance(images)
    reals = [_some(task.test, len(images)) for task in tasks]
    compared = tuple(
        _task(task, one.accuracy, real, scholar.features(real), seen, glances)
        for task, one, real in zip(tasks, judged, reals, strict=True)
    )
    whole = sorted(task.name for task in tasks) == sorted(names)
    # As many of each task as of any other: what was learned last is not all that counts.
    fewest = min((len(real) for real in reals), default=0)
    every = scholar.features(torch.cat([_spread(part, fewest) for part in reals])) if whole else None
    return Audit(
        dreams=len(images),
        classes=classes,
        tasks=compared,
        # One image has no covariance.
        frechet_distance=frechet_distance(seen, every) if every is not None and len(every) > 1 else None,
        precision=covered(seen, by=every) if every is not None else None,
        warnings=tuple(_warnings(scholar, classes, compared, judged, images, reals)),
    )


def _classes(scholar: Scholar, dreamt: Batch, judged: Sequence[Judged]) -> tuple[ClassAudit, ...]:
    """Each class in the dreams, and in the eyes of the pupil who saw dreams only and was ``judged``."""
    labels, sure = dreamt.labels, dreamt.targets.amax(1)
    conditional = scholar.settings.generator.chosen.conditional
    asked = torch.tensor([output for _, output in scholar.conditions])[dreamt.conditions]
    known = len(scholar.classes)
    confusion = sum((one.confusion for one in judged), torch.zeros(known, known, dtype=torch.int64))
    shown, right = confusion.sum(1).tolist(), confusion.diagonal().tolist()
    return tuple(
        ClassAudit(
            name=name,
            share=float((labels == output).float().mean()),
            confidence=_share(sure[labels == output]),
            agreement=_share(labels[asked == output] == output) if conditional else None,
            accuracy=right[output] / shown[output] if shown[output] else None,
        )
        for output, name in enumerate(scholar.classes)
    )


def _share(values: Tensor) -> float | None:
    return float(values.float().mean()) if len(values) else None


def _taught_by(scholar: Scholar, dreamt: Batch, seed: int, session: Session) -> Scholar:
    """A fresh small solver, at half the width, that learned from these dreams alone (Ravuri & Vinyals 2019)."""
    settings = scholar.settings
    s = settings.solver
    small = s.model_copy(update={"width": max(s.width // 2, 4), "steps": settings.audit.steps})
    settings = settings.model_copy(update={"solver": small})
    known = len(scholar.classes)
    memory = labelled(scholar, dreamt, settings.replay)
    pool = Pool(memory.images, memory.targets, known, temperature=settings.replay.temperature)
    # No label here is given, to be smoothed, and no real image tells dreams from itself, which noise is to hide.
    source = replace(Augmented.by(s, pool), noise=0.0, smoothing=0.0)
    quiet = replace(session, folder=None)
    seed = seed_of(seed, "audit", scholar.generation)
    solver = teach_solver(
        source,
        classes=known,
        settings=settings,
        seed=seed,
        fabric=open_fabric(settings.compute),
        session=quiet,
        stage="audit",
    )
    return Scholar(solver, None, scholar.classes, scholar.lineage, settings)


def _task(task: Task, score: float, real: Tensor, features: Tensor, seen: Tensor, glances: Tensor) -> TaskAudit:
    """One task beside the dreams.

    score: the accuracy of the pupil who saw dreams only
    real, features: images of the test part ``[N, C, H, W]``, and what the solver sees in them ``[N, D]``
    seen, glances: what it sees in the dreams, and these as `_glance` has them
    """
    tests = _glance(real)
    both = torch.cat([glances, tests])
    # In pieces: the training data may be larger than memory.
    pieces = [nearest(both, _glance(piece)) for piece in torch.split(task.train.tensor, PIECE)]
    dreams, tests = torch.split(torch.stack(pieces).amin(0), [len(glances), len(tests)])
    usual = tests.quantile(0.001)
    counts = torch.bincount(torch.from_numpy(task.train.labels), minlength=len(task.classes)).double()
    return TaskAudit(
        name=task.name,
        accuracy=score,
        recall=covered(features, by=seen),
        shares=dict(zip(task.classes, (counts / counts.sum()).tolist(), strict=True)),
        copies=float((dreams < usual).float().mean()),
        nearest_dream=float(dreams.quantile(0.001)),
        nearest_real=float(usual),
    )


def _warnings(
    scholar: Scholar,
    classes: Sequence[ClassAudit],
    tasks: Sequence[TaskAudit],
    judged: Sequence[Judged],
    images: Tensor,
    reals: Sequence[Tensor],
) -> list[str]:
    """What is wrong with the dreams, and its cure."""
    key = scholar.settings.generator.chosen_key
    rate = "its rate" if key == "own" else f"generator.{key}.rate"
    longer = f"train the generator for longer (--set generator.{key}.steps=...)"
    assert scholar.generator is not None  # `dream` refused it
    complaint = scholar.generator.diverged(scholar.lineage[-1].metrics.get("generator", {}))
    found = [complaint] if complaint else []
    cures = [f"{longer[0].upper()}{longer[1:]}", "set replay.balance=classes"]
    if not scholar.settings.generator.chosen.conditional and key != "own":
        cures.append(f"let the generator be asked for each class (generator.{key}.conditional=true)")
    if dying := [entry for entry in classes if entry.is_dying(len(classes))]:
        shares = [f"{entry.name!r} ({100 * entry.share:.1f} %)" for entry in dying]
        found.append(
            f"dying out: {shortlist(shares, ', ')} of the dreams are seen as that class, {100 / len(classes):.0f} % "
            f"would be its share. {', or '.join(cures)}"
        )
    asked = [(entry.name, entry.agreement) for entry in classes if entry not in dying and entry.agreement is not None]
    if mistaken := [(name, share) for name, share in asked if share < MISTAKEN]:
        shares = [f"{name!r} ({100 * share:.0f} %)" for name, share in mistaken]
        found.append(
            f"asked for a class, the generator often draws another: {shortlist(shares, ', ')} of its dreams are seen "
            f"as what was asked for. What is drawn so is forgotten with the next task. {cures[0]}"
        )
    variety = images.float().std(dim=0).mean()
    varied = [real.float().std(dim=0).mean() for real in reals if len(real) > 1]
    if varied and variety < COLLAPSED * torch.stack(varied).min():
        found.append(
            f"the generator has collapsed: its dreams vary by {float(variety):.1f} grey levels, a fifth of what real "
            f"images do or less. Lower {rate}, or start it anew (--set generator.start=fresh)"
        )
    for task, one in zip(tasks, judged, strict=True):
        chance = _chance(one)
        # Half as good again as chance; where that is above 2/3, half of what it leaves.
        if len(task.shares) > 1 and task.accuracy < min(1.5 * chance, (1 + chance) / 2):
            found.append(
                f"dreams teach nothing about {task.name}: a solver that saw only them is right on "
                f"{100 * task.accuracy:.1f} % of its test part, near chance ({100 * chance:.1f} %). The generator was "
                f"not trained, or far too little: {longer}"
            )
        if task.copies > COPIES:
            found.append(
                f"{100 * task.copies:.1f} % of the dreams are nearer to a training image of {task.name} than real test "
                "images are: they may be copies of it. Use more training images or fewer generator steps"
            )
    return found


def _chance(judged: Judged) -> float:
    """How often answers as frequent as these are right, if they do not depend on the image; 1 / K at least.

    sum_k P(shown = k) P(answered = k): the agreement by chance of Cohen 1960. Of ten known classes two may be a task's:
    who knows nothing is not right on half of it.
    """
    shown, answered = (judged.confusion.sum(dim).double() / judged.confusion.sum() for dim in (1, 0))
    return max(float((shown * answered).sum()), 1 / len(shown))


def _glance(images: Tensor) -> Tensor:
    """``[N, C, H, W]`` uint8 -> ``[N, D]``, such that Euclidean distance is root mean square difference, 0..1."""
    small = torch.from_numpy(fit_images(images.numpy(), images.shape[1], GLANCE)).flatten(1).float() / 255
    return cast(Tensor, small / small.shape[1] ** 0.5)


def _some(data: Images, count: int) -> Tensor:
    """At most ``count`` images, spread evenly over the data."""
    return _spread(data.tensor, min(count, len(data)))


def _spread(images: Tensor, count: int) -> Tensor:
    """``count`` of no fewer images, as far from one another as can be: data may be sorted by class."""
    return images[torch.arange(count) * len(images) // count]
