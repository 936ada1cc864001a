"""The commands `merge`, `forget`, `rename` and `distil`: what can be done with scholars without any data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scholars.cli import completion
from scholars.cli.app import (
    BudgetName,
    Changes,
    DataDir,
    Events,
    FollowLinks,
    GeneratorKind,
    Minutes,
    SaveEvery,
    ScholarFolder,
    app,
    fast_imports,
)
from scholars.cli.console import budget_changes, explain_resume, messages, print_line, split_list
from scholars.errors import InputError, counted

if TYPE_CHECKING:
    from scholars.scholar import Scholar

NewScholar = Annotated[Path, typer.Option("--out", metavar="NEW", help="The new scholar's folder; must be absent.")]
Seed = Annotated[int, typer.Option(help="The seed: equal seeds give equal scholars.")]
SameSeed = Annotated[int | None, typer.Option(help="The seed; default: that of the scholar's last training.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the scholar as it was, as SCHOLAR.gen-N.")]


@app.command()
def merge(
    scholars: Annotated[list[Path], typer.Argument(metavar="SCHOLAR", help="Two or more scholars' folders.")],
    out: NewScholar,
    weights: Annotated[
        str | None, typer.Option(help="How much each counts, in times of its number of classes: 1,2.")
    ] = None,
    seed: Seed = 0,
    generator: GeneratorKind = None,
    budget: BudgetName = None,
    minutes: Minutes = None,
    changes: Changes = None,
    accept_unprotected: Annotated[
        bool, typer.Option("--accept-unprotected", help="Merge private scholars with others.")
    ] = False,
    save_every: SaveEvery = 60,
    events: Events = None,
) -> None:
    """Merge scholars into one that knows what all of them know. No data is read.

    It learns from their dreams. Classes of one name are one class. Networks and image shape are those of the first
    scholar, unless --set says otherwise.
    """
    with fast_imports():
        from scholars.cli.progress import show_progress
        from scholars.learning.algebra_folders import merge_folders

    shares = _numbers(weights) if weights else None
    changed = _changes(changes, budget, minutes, generator)
    with explain_resume("the same command resumes it"), show_progress(messages, events) as callbacks:
        merged = merge_folders(
            scholars,
            out,
            weights=shares,
            changes=changed,
            seed=seed,
            accept_unprotected=accept_unprotected,
            callbacks=callbacks,
            save_every=save_every,
        )
    tasks = counted(len(merged.tasks), "task")
    print_line(f"{out}: generation {merged.generation} knows {_classes(merged)} of {tasks}")


@app.command()
def forget(
    scholar: ScholarFolder,
    classes: Annotated[list[str], typer.Argument(metavar="CLASS", help="The classes to forget.")],
    keep: Keep = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove kept generations, unfinished work and caches that hold them, too.")
    ] = False,
    seed: SameSeed = None,
    save_every: SaveEvery = 60,
    events: Events = None,
) -> None:
    """Forget classes. The scholar is replaced by one that does not know them.

    This cannot be undone without --keep. Solver and generator are taught anew, by dreams of what stays. Memories of
    photographs' features are forgotten exactly, pixels approximately. Says what else here still holds the classes.
    """
    with fast_imports():
        from scholars.cli.progress import show_progress
        from scholars.learning.algebra_folders import forget_classes

    with explain_resume("the same command resumes it"), show_progress(messages, events) as callbacks:
        left = forget_classes(
            scholar, classes, seed=seed, keep=keep, purge=purge, callbacks=callbacks, save_every=save_every
        )
    print_line(f"{scholar}: generation {left.generation} knows {_classes(left)}")


@app.command()
def rename(
    scholar: ScholarFolder,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The class.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name; of a known class: both become one.")],
    keep: Keep = False,
    seed: SameSeed = None,
    save_every: SaveEvery = 60,
    events: Events = None,
) -> None:
    """Rename a class. If the scholar knows a class of the new name, both become one, taught anew by its dreams."""
    with fast_imports():
        from scholars.cli.progress import show_progress
        from scholars.learning.algebra_folders import rename_class

    with explain_resume("the same command resumes it"), show_progress(messages, events) as callbacks:
        left = rename_class(scholar, old, new, seed=seed, keep=keep, callbacks=callbacks, save_every=save_every)
    print_line(f"{scholar}: generation {left.generation} knows {_classes(left)}")


@app.command()
def distil(
    scholar: ScholarFolder,
    out: NewScholar,
    tests: Annotated[
        list[str] | None,
        typer.Option(
            "--test",
            help="A source to measure both scholars on; repeatable.",
            autocompletion=completion.complete_source,
        ),
    ] = None,
    data_dir: DataDir = None,
    follow_links: FollowLinks = None,
    seed: Seed = 0,
    generator: GeneratorKind = None,
    budget: BudgetName = None,
    minutes: Minutes = None,
    changes: Changes = None,
    save_every: SaveEvery = 60,
    events: Events = None,
) -> None:
    """Teach other networks by the dreams of a scholar.

    --set says which networks, or which image shape.
    """
    with fast_imports():
        from scholars.cli.progress import show_progress
        from scholars.cli.sources import SourceOptions, open_scored
        from scholars.evaluation.accuracy import evaluate
        from scholars.learning.algebra_folders import distil_folder
        from scholars.scholar import Scholar

    before, options = Scholar.load(scholar), SourceOptions(data_dir, follow_links=follow_links)
    # A test source that is not there must not be found out after the training.
    scored = open_scored(messages, tests or [], options, before)
    changed = _changes(changes, budget, minutes, generator)
    with explain_resume("the same command resumes it"), show_progress(messages, events) as callbacks:
        after = distil_folder(scholar, out, changes=changed, seed=seed, callbacks=callbacks, save_every=save_every)
    print_line(f"{out}: generation {after.generation} knows {_classes(after)}")
    for each in scored:
        shares = [f"{100 * evaluate(one, each.task).accuracy:.2f} %" for one in (before, after)]
        print_line(f"{each.task.name}: {shares[0]} before, {shares[1]} after")


def _changes(
    changes: list[str] | None, budget: str | None, minutes: float | None, generator: str | None
) -> dict[str, object]:
    """Return the settings that the options change, by dotted path."""
    from scholars.settings.overrides import parse_changes

    return {
        **parse_changes(changes or []),
        **budget_changes(budget, minutes),
        **({"generator.kind": generator} if generator else {}),
    }


def _classes(scholar: "Scholar") -> str:
    return f"{len(scholar.classes):,} class{'es' * (len(scholar.classes) != 1)}"


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in split_list(text)]
    except ValueError:
        raise InputError(f"--weights {text}: give a number for each scholar, with commas between them") from None
