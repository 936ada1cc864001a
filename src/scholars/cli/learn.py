"""The commands `learn` and `evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from scholars.cli import completion
from scholars.cli.app import (
    AsJson,
    BackboneName,
    BudgetName,
    Changes,
    DataDir,
    Devices,
    Events,
    FollowLinks,
    GeneratorKind,
    Minutes,
    Nodes,
    SaveEvery,
    ScholarFolder,
    SkipUnreadable,
    app,
    fast_imports,
)
from scholars.cli.console import budget_changes, explain_resume, messages, out, print_line, split_list

# How many of a task's classes `evaluate` prints; its JSON has all.
_WORST_SHOWN = 5


@app.command(name="learn")
def learn_task(
    scholar: Annotated[Path, typer.Argument(metavar="SCHOLAR", help="The scholar's folder; created if absent.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A name, an image folder or .zip or .tar of one, an .npz or .csv file, or hf:owner/name.",
            autocompletion=completion.complete_source,
        ),
    ],
    name: Annotated[str | None, typer.Option(help="The task's name; default: the source's.")] = None,
    classes: Annotated[str | None, typer.Option(help='Use only these classes: a,b,"c, d".')] = None,
    test: Annotated[
        str | None, typer.Option(help="Take the test part from this source; none: train on all images, untested.")
    ] = None,
    origin: Annotated[Path | None, typer.Option("--from", help="Start from a copy of this scholar.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the previous generation, as SCHOLAR.gen-N.")] = False,
    data_dir: DataDir = None,
    skip_unreadable: SkipUnreadable = False,
    follow_links: FollowLinks = None,
    seed: Annotated[int, typer.Option(help="The seed: equal seeds give equal scholars.")] = 0,
    generator: GeneratorKind = None,
    backbone: BackboneName = None,
    budget: BudgetName = None,
    minutes: Minutes = None,
    keep_cache: Annotated[
        bool, typer.Option("--keep-cache", help="Keep the features of the images for later.")
    ] = False,
    refit: Annotated[
        bool, typer.Option("--refit", help="Once it is scored, also learn the images that Scholars itself held out.")
    ] = False,
    private: Annotated[
        float | None,
        typer.Option(
            metavar="EPSILON", help="Learn with differential privacy: what is kept has noise; see docs/privacy.md."
        ),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Of --private: delta, below 1 / photos.", show_default="1e-6")
    ] = None,
    group: Annotated[
        int | None, typer.Option(help="Of --private: the most photos of one person.", show_default="1")
    ] = None,
    disjoint: Annotated[
        bool, typer.Option("--disjoint", help="Of --private: nobody here is in an earlier task of the scholar.")
    ] = False,
    accept_unprotected: Annotated[
        bool, typer.Option("--accept-unprotected", help="Let private tasks and others be in one scholar.")
    ] = False,
    insecure_seed: Annotated[
        int | None, typer.Option(help="Of --private, for tests: draw the noise from this seed; it is NOT private.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be learned and how long it takes, and end.")
    ] = False,
    changes: Changes = None,
    save_every: SaveEvery = 60,
    events: Events = None,
    devices: Devices = None,
    nodes: Nodes = None,
) -> None:
    """Teach a scholar one more task. It replays dreams of earlier tasks; no old data is read.

    Says first what it will learn: classes and counts, the test part, files that are left out, the time.
    """
    from scholars.settings.overrides import parse_changes

    changed = parse_changes(changes or [])
    changed |= budget_changes(budget, minutes)
    if generator:
        changed["generator.kind"] = generator

    from scholars.cli.privacy import read_privacy

    privacy = read_privacy(private, delta, group, disjoint, insecure_seed)

    from scholars.cli.lesson import describe_outcome, open_lesson
    from scholars.cli.progress import show_progress
    from scholars.cli.sources import SourceOptions
    from scholars.compute.processes import distributed
    from scholars.learning.lifelong import plan_lesson, teach

    only, fit = split_list(classes) if classes else None, changed.get("image.fit", "crop")
    options = SourceOptions(data_dir, only, skip_unreadable, follow_links, fit)
    lesson = open_lesson(source, test, options, scholar, origin, changed, backbone, privacy)
    with explain_resume("the same command resumes it"), distributed(lesson.settings.compute, devices, nodes):
        task, tests = lesson.tasks(name)
        if dry_run:
            lines = plan_lesson(
                scholar,
                task,
                origin=origin,
                changes=changed,
                backbone=lesson.backbone,
                refit=refit,
                privacy=privacy,
                test=tests,
                accept_unprotected=accept_unprotected,
            )
            for line in lines:
                print_line(line)
            return
        with show_progress(messages, events) as callbacks:
            taught = teach(
                scholar,
                task,
                origin=origin,
                changes=changed,
                seed=seed,
                keep=keep,
                backbone=lesson.backbone,
                keep_cache=keep_cache,
                refit=refit,
                privacy=privacy,
                test=tests,
                accept_unprotected=accept_unprotected,
                callbacks=callbacks,
                save_every=save_every,
            )
    for line in describe_outcome(scholar, taught):
        print_line(line)


@app.command()
def evaluate(
    scholar: ScholarFolder,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="As for learn: names, image folders, archives, files, or hf:owner/name.",
            autocompletion=completion.complete_source,
        ),
    ],
    classes: Annotated[str | None, typer.Option(help='Use only these classes: a,b,"c, d".')] = None,
    everything: Annotated[bool, typer.Option("--all", help="Score all images, also those that it learned.")] = False,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Score what learning from the source holds out, learned or not.")
    ] = False,
    skip_unreadable: SkipUnreadable = False,
    follow_links: FollowLinks = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure a scholar's accuracy on real test images.

    Of a source with a test part, that is scored; of any other, all images, or what learning held out of it. Lists the
    classes with the lowest accuracy, and what they are most often mistaken for; --json has all classes.
    """
    with fast_imports():
        from dataclasses import asdict

        from scholars.cli.lesson import percent
        from scholars.cli.sources import SourceOptions, open_scored
        from scholars.errors import InputError, counted
        from scholars.evaluation.accuracy import by_class, evaluate
        from scholars.evaluation.scored import Which
        from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    only = split_list(classes) if classes else None
    if everything and held_out:
        raise InputError("--all and --held-out contradict each other: leave one of them out")
    which: Which = "all" if everything else "held out" if held_out else "auto"
    options = SourceOptions(data_dir, only, skip_unreadable, follow_links)
    evaluations = [
        (scored, evaluate(opened, scored.task)) for scored in open_scored(messages, sources, options, opened, which)
    ]
    if as_json:
        rows = [
            {
                "task": scored.task.name,
                "accuracy": evaluation.accuracy,
                "mean_class_accuracy": evaluation.mean_class_accuracy,
                "calibration_error": evaluation.calibration_error,
                "images": len(scored.task.test),
                "part": scored.part,
                "classes": [asdict(row) for row in by_class(evaluation, opened.classes)],
                "notes": [scored.note, *scored.task.notes],
                "skipped": [asdict(each) for each in scored.task.skipped],
            }
            for scored, evaluation in evaluations
        ]
        out.print_json(data={"results": rows})
        return
    for scored, evaluation in evaluations:
        mean = f"; mean over classes {percent(evaluation.mean_class_accuracy)}" if evaluation.is_uneven else ""
        print_line(
            f"{scored.task.name}: {percent(evaluation.accuracy)} of {counted(len(scored.task.test), 'image')}{mean}"
        )
        for row in by_class(evaluation, opened.classes)[:_WORST_SHOWN]:
            if row.mistaken_for:
                share = f"{percent(row.accuracy)} of {row.images:,}"
                print_line(f"  {row.name}: {share}, most often mistaken for {row.mistaken_for}")
