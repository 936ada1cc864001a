"""Open what `scholars learn` is to teach, and say what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scholars.cli.console import messages
from scholars.cli.sources import SourceOptions, open_source
from scholars.errors import counted
from scholars.learning.next_task import known_classes, settings_of
from scholars.learning.private import named_classes
from scholars.privacy.describe import describe_privacy
from scholars.scholar import Scholar
from scholars.settings import EMBEDDED, Settings
from scholars.settings.privacy import Privacy, check_private
from scholars.tasks.task import Task


@dataclass(frozen=True)
class Lesson:
    """A source that is to be taught, and the settings that will be used.

    test: the source of the test part, or ``none``; None: the source's own
    known: the classes that the scholar knows
    first: the task, where its images had to decide about the settings
    """

    source: str
    test: str | None
    options: SourceOptions
    settings: Settings
    backbone: str | None
    known: Sequence[str]
    privacy: Privacy | None
    first: Task | None

    def tasks(self, name: str | None) -> tuple[Task, Task | None]:
        """Open and return the task, and for a private one the task of its public test part."""
        task, only = self.first, self.options.classes
        # Which classes a private task has must not depend on its photos.
        options = replace(self.options, classes=None) if self.privacy else self.options
        if task is None or not self.settings.backbone:
            split = not (self.test or self.privacy)
            task = open_source(messages, self.source, options, self.settings, self.known, split=split)
        if self.privacy:
            task = named_classes(task, only)
        if name:
            task = replace(task, name=name)
        if self.test is None:
            return task, None
        if self.test == "none":
            return (task if self.privacy else task.without_test_part()), None
        every_class = replace(options, classes=None)
        tests = open_source(messages, self.test, every_class, self.settings, self.known, split=False)
        if only:
            tests = tests.select_classes([name for name in tests.classes if name in task.classes])
        return (task, tests) if self.privacy else (task.with_test_part(tests), None)


def open_lesson(
    source: str,
    test: str | None,
    options: SourceOptions,
    scholar: Path,
    origin: Path | None,
    changes: Mapping[str, Any],
    backbone: str | None,
    privacy: Privacy | None,
) -> Lesson:
    """Return the lesson; its images are looked at only where a new scholar's settings depend on them."""
    settings, first = settings_of(scholar, origin, changes, backbone), None
    if settings is None and privacy:
        backbone = backbone or EMBEDDED
        settings = settings_of(scholar, origin, changes, backbone)
    if privacy:  # before a photo is decoded, and a copy cached
        check_private(settings or Settings())
    if settings is None:  # whether a new scholar has a backbone, and its image shape, is for its images to say
        first = open_source(messages, source, options, None, split=not test)
        settings = settings_of(scholar, origin, changes, backbone, first)
        assert settings
    return Lesson(source, test, options, settings, backbone, known_classes(scholar, origin), privacy, first)


def describe_outcome(folder: Path, taught: Scholar) -> Iterator[str]:
    """Yield lines for people about a scholar that has just learned a task."""
    record = taught.lineage[-1]
    score = f"accuracy {percent(record.accuracy, 1)}"
    if record.is_uneven:
        score += f" (mean over classes {percent(record.mean_class_accuracy, 1)})"
    score += f" on the {counted(record.test_count, 'test image')} of {record.name}"
    if record.accuracy is None:
        score = f"{record.name} has no test image, so that its accuracy is unknown"
    elif record.refit:
        score += ", which it has learned since"
    yield f"{folder}: generation {taught.generation} knows {len(taught.classes)} classes; {score}"
    if words := describe_privacy(taught.privacy, taught.lineage):
        yield f"privacy: {words}"


def percent(share: float | None, digits: int = 2) -> str:
    """Return ``97.5 %``; ``unknown`` for None."""
    return "unknown" if share is None else f"{100 * share:.{digits}f} %"
