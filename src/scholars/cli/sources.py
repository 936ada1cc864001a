"""Open the sources that a command names, with progress bars, and say what is scored of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from scholars.cli.console import print_line, urgent
from scholars.cli.progress import progress_bar
from scholars.errors import InputError
from scholars.evaluation.accuracy import check_known
from scholars.evaluation.scored import Scored, Which, choose_scored
from scholars.scholar import Scholar
from scholars.settings import Fit, Settings
from scholars.tasks.open import open_task
from scholars.tasks.task import Task


@dataclass(frozen=True)
class SourceOptions:
    """The options of a command that say how its sources are read; see `open_task`.

    fit: that of a scholar whose settings are not known yet
    """

    data_dir: Path | None = None
    classes: Sequence[str] | None = None
    skip_unreadable: bool = False
    follow_links: Path | None = None
    fit: Fit = "crop"


def open_source(
    console: Console,
    source: str,
    options: SourceOptions,
    settings: Settings | None,
    known: Sequence[str] = (),
    split: bool = True,
) -> Task:
    """Open a source in a scholar's image shape, with a progress bar while images are decoded.

    settings: the scholar's; those in files are not decoded yet where it has a backbone, or where it is not known (None)
    known, split: see `open_task`
    """
    shape = settings.image if settings and not settings.backbone else None
    with progress_bar(console) as progress:
        bar = progress.add_task(f"[bold]{escape(source)}[/]  reading", total=None, speed="")
        return open_task(
            source,
            data_dir=options.data_dir,
            classes=options.classes,
            known=known,
            size=shape.size if shape else None,
            channels=shape.channels if shape else None,
            fit=settings.image.fit if settings else options.fit,
            decode=shape is not None,
            skip_unreadable=options.skip_unreadable,
            follow_links=options.follow_links,
            split=split,
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )


def open_scored(
    console: Console, sources: Sequence[str], options: SourceOptions, scholar: Scholar, which: Which = "auto"
) -> list[Scored]:
    """Open each source; say which of its images are scored, and which files are left out.

    Tasks of one name are named by their sources: 2025/new, 2026/new.
    """
    if repeated := [source for source, count in Counter(sources).items() if count > 1]:
        raise InputError(f"{repeated[0]} is given twice: give each source once")
    found = []
    for source in sources:
        task = open_source(console, source, options, scholar.settings, scholar.classes, split=False)
        check_known(scholar, task)
        found.append(choose_scored(task, scholar.lineage, which))
    for scored in found:
        for remark in (scored.note, *scored.task.remarks):
            print_line(f"{scored.task.name}: {remark}", urgent)
    names = Counter(scored.task.name for scored in found)
    return [
        scored if names[scored.task.name] == 1 else replace(scored, task=replace(scored.task, name=source))
        for scored, source in zip(found, sources, strict=True)
    ]
