"""The arguments of `scholars.learn`, checked, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self, get_args

from scholars.compute.device import derive_seed
from scholars.compute.processes import check_divisible
from scholars.errors import InputError, did_you_mean, shortlist
from scholars.generators.memories import Memory
from scholars.learning.dreams import check_replay
from scholars.learning.inheritance import Inheritance, inherit
from scholars.privacy.account import noise_multiplier
from scholars.privacy.describe import unprotected_tasks
from scholars.privacy.noise import check_library
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, HeadSettings, MixtureSettings, Settings, SolverSettings
from scholars.settings.privacy import Privacy, check_private
from scholars.tasks.task import Task

Replayed = Literal["dreams", "current data"]
Past = Replayed | Sequence[Task]
_PASTS: tuple[str, ...] = get_args(Replayed)


@dataclass(frozen=True)
class LearnArgs:
    """The arguments of `scholars.learn`; without a new task, those of learning from the dreams of ``scholars`` alone.

    new: the new task
    previous: the scholar whose weights a warm start takes
    scholars: what is taken over from scholars; None: all of ``previous``
    privacy: the guarantee of a private task, of which ``new`` has no photos; None: it is not private
    accept_unprotected: whether tasks with and without a guarantee may be in one lineage
    memories: of the classes of a private task, once they are made
    """

    new: Task | None
    previous: Scholar | None
    past: Past
    settings: Settings
    seed: int
    scholars: Inheritance | None = None
    privacy: Privacy | None = None
    accept_unprotected: bool = False
    memories: Sequence[Memory] | None = None

    @property
    def task(self) -> Task:
        """The new task. Raises TypeError where there is none."""
        if self.new is None:
            raise TypeError("there is no new task")
        return self.new

    @property
    def new_classes(self) -> tuple[str, ...]:
        """The classes of the new task; none without one."""
        return self.new.classes if self.new else ()

    @cached_property
    def inherited(self) -> Inheritance:
        """The lineage and classes that are taken over, and the scholars whose dreams tell of them."""
        if self.scholars:
            return self.scholars
        names = union_of_classes(*(task.classes for task in self.stored), self.new_classes)
        previous = [self.previous] if self.previous else []
        return inherit(previous, new_classes=names, sort_classes=self.settings.backbone is not None)

    def on(self, compute: ComputeSettings) -> Self:
        """Return the same arguments, with the scholars on another device."""
        previous = self.previous.on(compute) if self.previous else None
        return replace(self, previous=previous, scholars=self.scholars.on(compute) if self.scholars else None)

    @property
    def classes(self) -> tuple[str, ...]:
        """All class names that the new scholar knows: the known ones first, so that outputs keep their place.

        Those of features in the order of their names: in which order they were learned shows nowhere.
        """
        return self.inherited.classes

    @property
    def class_counts(self) -> list[int]:
        """The number of classes of each task, the new one last."""
        return self.inherited.class_counts + ([len(self.new.classes)] if self.new else [])

    @property
    def stored(self) -> Sequence[Task]:
        """The tasks whose real data is replayed."""
        return () if isinstance(self.past, str) else self.past

    @property
    def brings_classes(self) -> bool:
        """True if the task has classes that the previous scholar does not know; False for a first task."""
        return self.previous is not None and not set(self.new_classes) <= set(self.previous.classes)

    @property
    def known_conditions(self) -> int:
        """The number of (task, class) pairs that are known without the new task."""
        return self.inherited.conditions

    @property
    def position(self) -> int:
        """The seed of all randomness: every generation has its own, whatever seed its task is learned with."""
        return derive_seed(self.seed, "generation", self.inherited.generation + 1)

    def check(self) -> None:
        """Raise InputError for a task or settings that do not fit the previous scholar."""
        task, previous, settings = self.task, self.previous, self.settings
        task.check_classes()
        if self.privacy:
            check_private(settings)
            noise_multiplier(self.privacy)
            check_library(self.privacy.insecure_seed is not None)
        if not self.accept_unprotected:
            self._check_protection()
        if isinstance(self.past, str) and self.past not in _PASTS:
            raise InputError(
                f"past={self.past!r} is not known. {did_you_mean(self.past, _PASTS)} Or give the tasks to replay"
            )
        if previous and self.past == "dreams" and settings.backbone:
            self._check_feature_generator(previous)
        elif previous and self.past == "dreams":
            check_replay(settings.replay, previous.settings.trained_generator, len(previous.conditions))
        if previous is None:
            if len(self.classes) < 2 and not settings.backbone:
                raise InputError(f"task {task.name!r} has one class only; a first task needs two or more")
        elif settings.image != previous.settings.image:
            raise InputError(
                f"a scholar's image shape is fixed by its first task: it is {previous.settings.image}, not "
                f"{settings.image}"
            )
        if isinstance(settings.solver, SolverSettings | HeadSettings):
            check_divisible("solver.batch", settings.solver.batch)
        elif previous and self.past in ("current data", []):
            raise InputError(
                f"solver.kind={settings.solver.kind} is computed from all classes at once: methods naive and lwf, "
                "which change the previous solver, need solver.kind=head"
            )
        if self.past == "dreams" and not isinstance(settings.generator, MixtureSettings):
            check_divisible("generator.batch", settings.generator.batch)

    def _check_protection(self) -> None:
        """Raise InputError where private tasks and others would be in one lineage."""
        open_ones = unprotected_tasks(self.inherited.lineage)
        if self.privacy and open_ones:
            raise InputError(
                f"this scholar learned {shortlist(open_ones, ', ')} without a guarantee, and these photos stay "
                "unprotected: --accept-unprotected learns a private task all the same"
            )
        if not self.privacy and self.inherited.privacy:
            raise InputError(
                "this scholar is private, and a task that is learned without --private has no guarantee: "
                "--accept-unprotected learns it all the same"
            )

    def _check_feature_generator(self, previous: Scholar) -> None:
        """Raise InputError where the new generator could not know what the previous scholar knows."""
        if previous.generator is None:
            raise InputError("this scholar has no generator: it was trained on stored data, and cannot dream")
        kinds = previous.settings.generator.kind, self.settings.generator.kind
        # Memories are kept, not drawn anew; and a generator that is trained learns from dreams of one of its own.
        if kinds[0] != kinds[1] and "mixture" in kinds:
            raise InputError(
                f"generator.kind={kinds[1]}: this scholar's is {kinds[0]}, and neither becomes the other: leave it as "
                "it is, or start a new scholar"
            )


def check_task(task: Task) -> None:
    """Raise InputError for anything that is no task."""
    if not isinstance(task, Task):
        raise InputError(f"a task is learned, not a {type(task).__name__}: open it, by scholars.open_task")


def union_of_classes(*names: Sequence[str]) -> tuple[str, ...]:
    """Return all class names, each once, in the order in which they first appear."""
    return tuple(dict.fromkeys(name for group in names for name in group))
