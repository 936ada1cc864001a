"""Mix real images of the new task with what is replayed for the earlier tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from scholars.compute.device import Fabric
from scholars.learning.arguments import LearnArgs
from scholars.learning.dreams import CurrentDataReplay, replay_source
from scholars.settings import Settings
from scholars.settings.base import planned
from scholars.tasks.task import Task
from scholars.training.batches import Augmented, BatchSource, Mix, Pool, mix_shares, new_data_ratio
from scholars.training.loop import Session


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """r of the new task, 1 - r of what is replayed.

    ratio: r
    generator_ratio: the same for the generator
    new: real images of the new task; None where there is none
    replayed: what stands for the earlier tasks; None for nothing
    augment, augment_replayed: how either is augmented for the solver
    dreams: how many dreams are drawn, besides those of a bank
    """

    ratio: float = 1.0
    generator_ratio: float = 1.0
    new: BatchSource | None
    replayed: BatchSource | None = None
    augment: Callable[[BatchSource], BatchSource]
    augment_replayed: Callable[[BatchSource], BatchSource]
    dreams: int = 0

    def for_generator(self) -> BatchSource:
        """Return the generator's batches: images as they are."""
        return _mix(self.generator_ratio, self.new, self.replayed)

    def for_solver(self) -> BatchSource:
        """Return the solver's batches: augmented images."""
        new = self.augment(self.new) if self.new else None
        return _mix(self.ratio, new, self.augment_replayed(self.replayed) if self.replayed else None)


def _mix(ratio: float, new: BatchSource | None, replayed: BatchSource | None) -> BatchSource:
    """Return ``ratio`` of the new and the rest of the replayed; of one without the other, all."""
    if new and replayed:
        return Mix([(ratio, new), (1 - ratio, replayed)])
    if found := new or replayed:
        return found
    raise TypeError("there is nothing to learn from")


def build_mixture(args: LearnArgs, fabric: Fabric, session: Session) -> Mixture:
    """Build the mix of the new task and what ``args.past`` replays; draws the bank of dreams, if there is one."""
    task, previous, past, settings = args.new, args.previous, args.past, args.settings
    policy, classes = settings.replay, args.classes
    augment = partial(Augmented.by, settings.image_solver)
    first = Mixture(
        new=real_pool(task, classes, settings, args.known_conditions) if task else None,
        augment=augment,
        augment_replayed=partial(_augment_dreams, settings),
    )
    if not isinstance(past, str):
        *parts, r = mix_shares(policy.ratio, [len(each.classes) for each in (*past, args.task)])
        stored = [(share, real_pool(each, classes, settings, 0)) for share, each in zip(parts, past, strict=True)]
        old = Mix(stored) if stored and r < 1 else None
        return replace(first, ratio=r, generator_ratio=r, replayed=old, augment_replayed=augment)
    if not args.inherited.dreamers:
        return first
    r = new_data_ratio(policy.ratio, args.class_counts) if task else 0.0
    if past == "current data":
        assert previous and first.new
        relabelled = CurrentDataReplay(previous, first.new, policy, classes)
        return replace(first, ratio=r, generator_ratio=r, replayed=relabelled)
    generator_r = generator_share(args, r)
    replayed = replay_source(args.inherited, settings, args.seed, session, fabric)
    fresh = 0.0
    if policy.dreams == "fresh":
        s, g = settings.image_solver, settings.trained_generator
        of_generator = g.batches_per_step * g.batch * planned(g.steps)
        fresh = (1 - r) * s.batch * planned(s.steps) + (1 - generator_r) * of_generator
    return replace(first, ratio=r, generator_ratio=generator_r, replayed=replayed, dreams=round(fresh))


def generator_share(args: LearnArgs, ratio: float) -> float:
    """Return the share of new data in the generator's batches; ``ratio``: in the solver's."""
    chosen = args.settings.replay.generator_ratio
    if args.new is None:
        return 0.0
    if chosen != "auto":
        return chosen
    # A generator learns new classes from these images alone; of the earlier ones it starts with the weights.
    return max(ratio, 0.5 if args.brings_classes else 0.0)


def real_pool(task: Task, classes: Sequence[str], settings: Settings, first_condition: int) -> Pool:
    """Return the real training images of a task, labelled by the scholar's outputs."""
    data = task.train.resized(settings.image.channels, settings.image.size, settings.image.fit)
    outputs = [classes.index(name) for name in task.classes]
    return Pool.of(data, outputs, len(classes), first_condition, settings.replay.balance)


def _augment_dreams(settings: Settings, source: BatchSource) -> Augmented:
    """Augment as new images are, but for what soft labels do without (smoothing) and ``replay`` sets for dreams."""
    augmented, shift = Augmented.by(settings.image_solver, source), settings.replay.shift
    shift = augmented.shift if shift is None else shift
    return replace(augmented, shift=shift, mixup=settings.replay.mixup, smoothing=0.0)
