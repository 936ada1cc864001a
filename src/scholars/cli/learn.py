"""The commands `learn`, `evaluate` and `inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from scholars.cli import completion
from scholars.cli.app import (
    AsJson,
    BackboneName,
    Changes,
    DataDir,
    Devices,
    Events,
    GeneratorKind,
    Nodes,
    SaveEvery,
    ScholarFolder,
    SkipUnreadable,
    app,
    fast_imports,
)
from scholars.cli.console import explain_resume, messages, out, print_line, split_list

# How many of a task's classes `evaluate` prints; its JSON has all.
_WORST_SHOWN = 5


@app.command(name="learn")
def learn_task(
    scholar: Annotated[Path, typer.Argument(metavar="SCHOLAR", help="The scholar's folder; created if absent.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A name, an image folder, an .npz or .csv file, or hf:owner/name.",
            autocompletion=completion.complete_source,
        ),
    ],
    name: Annotated[str | None, typer.Option(help="The task's name; default: the source's.")] = None,
    classes: Annotated[str | None, typer.Option(help='Use only these classes: a,b,"c, d".')] = None,
    test: Annotated[str | None, typer.Option(help="Take the test part from this source instead.")] = None,
    origin: Annotated[Path | None, typer.Option("--from", help="Start from a copy of this scholar.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the previous generation, as SCHOLAR.gen-N.")] = False,
    data_dir: DataDir = None,
    skip_unreadable: SkipUnreadable = False,
    seed: Annotated[int, typer.Option(help="The seed: equal seeds give equal scholars.")] = 0,
    generator: GeneratorKind = None,
    backbone: BackboneName = None,
    keep_cache: Annotated[
        bool, typer.Option("--keep-cache", help="Keep the features of the images for later.")
    ] = False,
    changes: Changes = None,
    save_every: SaveEvery = 60,
    events: Events = None,
    devices: Devices = None,
    nodes: Nodes = None,
) -> None:
    """Teach a scholar one more task. It replays dreams of earlier tasks; no old data is read."""
    from scholars.settings.overrides import parse_changes

    changed = parse_changes(changes or [])
    if generator:
        changed["generator.kind"] = generator

    from dataclasses import replace

    from scholars.cli.progress import open_task_with_progress, show_progress
    from scholars.compute.processes import distributed
    from scholars.learning.lifelong import known_classes, settings_of, teach
    from scholars.tasks.task import Task

    only, known = split_list(classes) if classes else None, known_classes(scholar, origin)
    settings = settings_of(scholar, origin, changed, backbone)
    first: Task | None = None
    if settings is None:  # whether a new scholar has a backbone is for its images to say
        fit = changed.get("image.fit", "crop")
        first = open_task_with_progress(messages, source, None, data_dir, only, skip_unreadable, fit=fit)
        settings = settings_of(scholar, origin, changed, backbone, first)
        assert settings
    with explain_resume("the same command resumes it"), distributed(settings.compute, devices, nodes):
        task = first
        if task is None or not settings.backbone:
            task = open_task_with_progress(messages, source, settings, data_dir, only, skip_unreadable, known)
        if name:
            task = replace(task, name=name)
        if test:
            tests = open_task_with_progress(messages, test, settings, data_dir, only, skip_unreadable, known)
            task = task.with_test_part(tests)
        with show_progress(messages, events) as callbacks:
            taught = teach(
                scholar,
                task,
                origin=origin,
                changes=changed,
                seed=seed,
                keep=keep,
                backbone=backbone,
                keep_cache=keep_cache,
                callbacks=callbacks,
                save_every=save_every,
            )
    record = taught.lineage[-1]
    print_line(
        f"{scholar}: generation {taught.generation} knows {len(taught.classes)} classes; accuracy "
        f"{_percent(record.accuracy, 1)} on the {record.test_count:,} test images of {record.name}"
    )


@app.command()
def evaluate(
    scholar: ScholarFolder,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Names, image folders, .npz or .csv files, or hf:owner/name; the test part of each.",
            autocompletion=completion.complete_source,
        ),
    ],
    classes: Annotated[str | None, typer.Option(help='Use only these classes: a,b,"c, d".')] = None,
    skip_unreadable: SkipUnreadable = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure a scholar's accuracy on real test images.

    Lists the classes with the lowest accuracy, and what they are most often mistaken for; --json has all classes.
    """
    with fast_imports():
        from dataclasses import asdict

        from scholars.cli.progress import open_tests
        from scholars.evaluation.accuracy import by_class, evaluate
        from scholars.scholar import Scholar
        from scholars.tasks.skipped import skipped_rows

    opened = Scholar.load(scholar)
    only = split_list(classes) if classes else None
    tasks = open_tests(messages, sources, opened.settings, data_dir, only, skip_unreadable, opened.classes)
    evaluations = [(task, evaluate(opened, task)) for task in tasks]
    if as_json:
        rows = [
            {
                "task": task.name,
                "accuracy": evaluation.accuracy,
                "images": len(task.test),
                "classes": [asdict(row) for row in by_class(evaluation, opened.classes)],
                "notes": task.notes,
                "skipped": skipped_rows(task.skipped),
            }
            for task, evaluation in evaluations
        ]
        out.print_json(data={"results": rows})
        return
    for task, evaluation in evaluations:
        print_line(f"{task.name}: {_percent(evaluation.accuracy)} of {len(task.test):,} test images")
        for row in by_class(evaluation, opened.classes)[:_WORST_SHOWN]:
            if row.mistaken_for:
                share = f"{_percent(row.accuracy)} of {row.images:,}"
                print_line(f"  {row.name}: {share}, most often mistaken for {row.mistaken_for}")


@app.command()
def inspect(
    scholar: ScholarFolder,
    tests: Annotated[
        list[str] | None, typer.Option("--test", help="A source to evaluate it on now; repeatable.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what a scholar knows. Its classes, lineage and networks, and the audits of its dreams."""
    with fast_imports():
        from scholars.cli.progress import open_tests
        from scholars.inference.describe import describe, lineage_tree
        from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    tasks = open_tests(messages, tests or [], opened.settings, data_dir, None)
    description = describe(opened, scholar, tasks)
    if as_json:
        out.print_json(data=description)
    else:
        out.print(lineage_tree(opened, str(scholar), description))


def _percent(share: float | None, digits: int = 2) -> str:
    return "unknown" if share is None else f"{100 * share:.{digits}f} %"
