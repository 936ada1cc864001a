"""Audit a scholar's dreams: would the next generation remember? Judged on real test parts only.

The main measure is the classification accuracy score (Ravuri & Vinyals 2019): a *probe*, a fresh small solver, is
trained on dreams alone and scored on real test images.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from scholars.compute.device import derive_seed, open_fabric
from scholars.errors import InputError
from scholars.evaluation.accuracy import Evaluation, evaluate
from scholars.evaluation.feature_metrics import frechet_distance, manifold_coverage, nearest_distances
from scholars.learning.audit_warnings import audit_warnings
from scholars.learning.budget import planned_settings
from scholars.learning.dreams import enough_dreams, relabel
from scholars.learning.looking import look_at_task
from scholars.learning.networks import train_solver
from scholars.scholar import Scholar
from scholars.settings.base import planned
from scholars.solvers import default_width
from scholars.storage.audits import Audit, ClassAudit, TaskAudit
from scholars.tasks.images import Images
from scholars.tasks.resize import resize_images
from scholars.tasks.task import Task
from scholars.training.batches import Augmented, Batch, Pool, concat_batches
from scholars.training.loop import Session

# Copies are looked for at this many pixels a side, which a copy survives: a seventh of the numbers of 32 x 32.
COPY_CHECK_SIZE = 12
# Unless they are set, a probe takes as many steps as the solver, up to these.
MOST_PROBE_STEPS = 300
# Training images that are compared at a time.
CHUNK = 20_000


def audit(scholar: Scholar, tasks: Sequence[Task], *, seed: int = 0, session: Session | None = None) -> Audit:
    """Compare dreams of ``scholar`` with the real images of ``tasks``.

    ``settings.audit.dreams`` are drawn, fewer where pixels of few images were learned; or one for each class of each
    task if that is more.

    tasks: tasks of its lineage whose data is at hand; the more, the more is known. Nothing is learned from them, and
        one without test images tells nothing

    Raises InputError for a scholar that cannot dream, or a task that it never learned.
    """
    settings = scholar.settings
    names = [record.name for record in scholar.tasks]
    for task in tasks:
        if task.name not in names:
            raise InputError(f"cannot audit dreams of {task.name!r}: this scholar learned {', '.join(names)}")
    if not settings.audit.dreams:
        raise InputError("audit.dreams=0 means no audit: set how many dreams to look at")
    tasks = [_in_shape(scholar, task) for task in tasks if len(task.test)]

    # One of each class of each task at least: a class that was never drawn would seem to die out.
    count = settings.audit.dreams
    if scholar.backbone is None:
        count = enough_dreams(sum(record.train_count for record in scholar.lineage), count)
    count = max(count, len(scholar.conditions))
    dreams = concat_batches(scholar.iter_dreams(count, seed=derive_seed(seed, "audit", scholar.generation)))
    # A solver of features has learned from dreams alone, as a probe does.
    probe = scholar if scholar.backbone or not tasks else _train_probe(scholar, dreams, seed, session or Session())
    evaluations = [evaluate(probe, task) for task in tasks]
    class_audits = _audit_classes(scholar, dreams, evaluations)

    features = scholar.features_and_logits(dreams.inputs)[0]
    real = [_evenly_spaced(_inputs(task.test), min(len(dreams.inputs), len(task.test))) for task in tasks]
    task_audits = tuple(
        _audit_task(scholar, task, evaluation.accuracy, images, dreams.inputs, features)
        for task, evaluation, images in zip(tasks, evaluations, real, strict=True)
    )
    distance = precision = None
    if tasks and sorted(task.name for task in tasks) == sorted(names):
        # As many of each task as of any other, so that large test parts do not dominate.
        fewest = min(len(images) for images in real)
        real_features = scholar.features_and_logits(torch.cat([_evenly_spaced(images, fewest) for images in real]))[0]
        precision = manifold_coverage(features, by=real_features)
        if len(real_features) > 1:  # one image has no covariance
            distance = frechet_distance(features, real_features)
    return Audit(
        dreams=len(dreams.inputs),
        classes=class_audits,
        tasks=task_audits,
        frechet_distance=distance,
        precision=precision,
        warnings=tuple(audit_warnings(scholar, class_audits, task_audits, evaluations, dreams.inputs, real)),
    )


def _in_shape(scholar: Scholar, task: Task) -> Task:
    """Return the task as the scholar sees it: in its image shape, or with the features of its backbone."""
    settings = scholar.settings
    if scholar.backbone:
        return look_at_task(task, scholar.backbone, settings)
    return task.resized(settings.image.channels, settings.image.size, settings.image.fit)


def _inputs(part: Images) -> Tensor:
    """Return what a scholar's networks see of images: their features in the plain view, else their pixels."""
    return part.tensor if part.features is None else part.feature_tensor[:, 0].float()


def _train_probe(scholar: Scholar, dreams: Batch, seed: int, session: Session) -> Scholar:
    """Train a fresh solver of half the width on these dreams alone (Ravuri & Vinyals 2019)."""
    settings = planned_settings(scholar)
    s = settings.image_solver
    steps = settings.audit.steps or min(MOST_PROBE_STEPS, planned(s.steps))
    width = s.width or default_width(s.kind, settings.image)
    small = s.model_copy(update={"width": max(width // 2, 4), "steps": steps})
    settings = settings.model_copy(update={"solver": small})
    labelled = relabel(scholar, dreams, settings.replay)
    pool = Pool(labelled.inputs, labelled.targets, len(scholar.classes), temperature=settings.replay.temperature)
    # Soft labels need no smoothing; and noise hides dreams among real images, of which there are none.
    source = replace(Augmented.by(s, pool), noise=0.0, smoothing=0.0)
    solver = train_solver(
        source,
        classes=len(scholar.classes),
        settings=settings,
        seed=derive_seed(seed, "audit", scholar.generation),
        fabric=open_fabric(settings.compute),
        session=replace(session, folder=None),
        stage="audit",
    )
    return Scholar(solver, None, scholar.classes, scholar.lineage, settings)


def _audit_classes(scholar: Scholar, dreams: Batch, evaluations: Sequence[Evaluation]) -> tuple[ClassAudit, ...]:
    """Return each class's share of the dreams, and the probe's accuracy on its real test images."""
    labels, confidence = dreams.labels, dreams.targets.amax(1)
    asked_for = torch.tensor([output for _, output in scholar.conditions])[dreams.conditions]
    known = len(scholar.classes)
    confusion = sum((each.confusion for each in evaluations), torch.zeros(known, known, dtype=torch.int64))
    images, right = confusion.sum(1).tolist(), confusion.diagonal().tolist()
    return tuple(
        ClassAudit(
            name=name,
            share=float((labels == output).float().mean()),
            confidence=_mean(confidence[labels == output]),
            agreement=_mean(labels[asked_for == output] == output) if scholar.settings.generator.conditional else None,
            accuracy=right[output] / images[output] if images[output] else None,
        )
        for output, name in enumerate(scholar.classes)
    )


def _audit_task(
    scholar: Scholar, task: Task, probe_accuracy: float, real: Tensor, dreams: Tensor, dream_features: Tensor
) -> TaskAudit:
    """Compare dreams ``[N, C, H, W]`` with ``real`` images of the task's test part ``[M, C, H, W]``; or features."""
    thumbnails = torch.cat([_thumbnails(dreams), _thumbnails(real)])
    # In chunks: the training data may be larger than memory.
    chunks = torch.split(_inputs(task.train), CHUNK)
    distances = torch.stack([nearest_distances(thumbnails, _thumbnails(chunk)) for chunk in chunks]).amin(0)
    of_dreams, of_real = torch.split(distances, [len(dreams), len(real)])
    usual = of_real.quantile(0.001)
    if task.train.features is not None and task.train.features.shape[1] > 1:
        # A memory of few photos dreams of nothing far from them, and of no copies: a copy is as near as a view.
        usual = torch.minimum(usual, _view_distance(task.train))
    counts = torch.bincount(task.train.label_tensor, minlength=len(task.classes)).double()
    return TaskAudit(
        name=task.name,
        accuracy=probe_accuracy,
        recall=manifold_coverage(scholar.features_and_logits(real)[0], by=dream_features),
        shares=dict(zip(task.classes, (counts / counts.sum()).tolist(), strict=True)),
        copies=float((of_dreams < usual).float().mean()),
        nearest_dream=float(of_dreams.quantile(0.001)),
        nearest_real=float(usual),
    )


def _view_distance(train: Images) -> Tensor:
    """Return the median distance between what a backbone sees in a photo's plain view and in its others."""
    sample = _evenly_spaced(train.feature_tensor, min(len(train), 2000)).float()
    return cast(Tensor, (sample[:, 1:] - sample[:, :1]).norm(dim=2).median() / sample.shape[2] ** 0.5)


def _mean(values: Tensor) -> float | None:
    return float(values.float().mean()) if len(values) else None


def _thumbnails(images: Tensor) -> Tensor:
    """Return images ``[N, C, H, W]`` uint8 as ``[N, D]``: Euclidean distances are root mean square differences.

    Of features ``[N, D]``, too.
    """
    if images.ndim == 2:
        return cast(Tensor, images / images.shape[1] ** 0.5)
    small = torch.from_numpy(resize_images(images.numpy(), images.shape[1], COPY_CHECK_SIZE)).flatten(1).float() / 255
    return cast(Tensor, small / small.shape[1] ** 0.5)


def _evenly_spaced(images: Tensor, count: int) -> Tensor:
    """Return ``count`` of the images, evenly spaced: data may be sorted by class."""
    return images[torch.arange(count) * len(images) // count]
