"""A scholar's life: `learn` a task, `evaluate` what it knows, `inspect` its lineage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scholars.commands import completion
from scholars.commands.app import (
    AsJson,
    Changes,
    DataDir,
    Devices,
    Events,
    GeneratorKind,
    Nodes,
    SaveEvery,
    ScholarFolder,
    app,
    loading,
)
from scholars.errors import Interrupted
from scholars.terminal import listed, messages, out

# Classes that `evaluate` names of a task; all are in its JSON.
_WORST = 5


@app.command(name="learn")
def learn_task(
    scholar: Annotated[Path, typer.Argument(metavar="SCHOLAR", help="The scholar's folder; made if absent.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A name, an image folder, an .npz or .csv file, or hf:owner/name.",
            autocompletion=completion.source_names,
        ),
    ],
    name: Annotated[str | None, typer.Option(help="What to call the task; default: the source's name.")] = None,
    classes: Annotated[str | None, typer.Option(help="Only these classes: a,b,c.")] = None,
    test: Annotated[str | None, typer.Option(help="Take the test part from this source instead.")] = None,
    origin: Annotated[Path | None, typer.Option("--from", help="Start from a copy of this scholar.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the previous generation, as SCHOLAR.gen-N.")] = False,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal scholars.")] = 0,
    generator: GeneratorKind = None,
    changes: Changes = None,
    save_every: SaveEvery = 60,
    events: Events = None,
    devices: Devices = None,
    nodes: Nodes = None,
) -> None:
    """Teach a scholar one more task. It dreams of what it knew before; no old data is read."""
    from scholars.config import parse_changes

    given = parse_changes(changes or [])
    if generator:
        given["generator.kind"] = generator

    from dataclasses import replace

    from scholars.lifetime import settings_of, teach
    from scholars.progress import learning, open_watched
    from scholars.team import together

    settings = settings_of(scholar, origin, given)
    only = listed(classes) if classes else None
    try:
        with together(settings.compute, devices, nodes):
            task = open_watched(messages, source, settings.image, data_dir, only)
            task = replace(task, name=name) if name else task
            task = task.tested_on(open_watched(messages, test, settings.image, data_dir, only)) if test else task
            with learning(messages, task.name, seed, events) as watch:
                taught = teach(
                    scholar,
                    task,
                    origin=origin,
                    changes=given,
                    seed=seed,
                    keep=keep,
                    watch=watch,
                    save_every=save_every,
                )
    except Interrupted as stop:
        raise Interrupted(f"{stop}. What was trained is kept: the same command goes on") from None
    record = taught.lineage[-1]
    out.print(
        f"{scholar}: generation {taught.generation} knows {len(taught.classes)} classes; "
        f"{100 * record.accuracy:.1f} % right on the {record.test_count:,} test images of {record.name}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


@app.command()
def evaluate(
    scholar: ScholarFolder,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Names, image folders, .npz or .csv files, or hf:owner/name; their test parts.",
            autocompletion=completion.source_names,
        ),
    ],
    classes: Annotated[str | None, typer.Option(help="Only these classes: a,b,c.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Score a scholar on real test images.

    Names the classes that it knows worst, and what it takes them for most; --json has all classes.
    """
    with loading():
        from dataclasses import asdict

        from scholars.evaluate import by_class, judge
        from scholars.progress import open_tests
        from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    only = listed(classes) if classes else None
    tasks = open_tests(messages, sources, opened.settings.image, data_dir, only)
    scores = [(task, judge(opened, task)) for task in tasks]
    if as_json:
        rows = [
            {
                "task": task.name,
                "accuracy": judged.accuracy,
                "images": len(task.test),
                "classes": [asdict(row) for row in by_class(judged, opened.classes)],
            }
            for task, judged in scores
        ]
        out.print_json(data={"results": rows})
        return
    for task, judged in scores:
        text = f"{task.name}: {100 * judged.accuracy:.2f} % of {len(task.test):,} test images"
        out.print(text, highlight=False, markup=False, soft_wrap=True)
        for row in by_class(judged, opened.classes)[:_WORST]:
            if row.mistaken_for:
                text = f"  {row.name}: {100 * row.accuracy:.2f} % of {row.images:,}, taken for {row.mistaken_for} most"
                out.print(text, highlight=False, markup=False, soft_wrap=True)


@app.command()
def inspect(
    scholar: ScholarFolder,
    tests: Annotated[list[str] | None, typer.Option("--test", help="A source to be scored on now; repeatable.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what a scholar knows. Its classes, lineage and networks, and the audits of its dreams."""
    with loading():
        from scholars.inspecting import described, lineage_tree
        from scholars.progress import open_tests
        from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    shape = opened.settings.image
    found = described(opened, scholar, open_tests(messages, tests or [], shape, data_dir, None))
    if as_json:
        out.print_json(data=found)
    else:
        out.print(lineage_tree(opened, str(scholar), found))
