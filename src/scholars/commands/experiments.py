"""`run`, and what there is to run: `recipes`, `generators`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from scholars.commands import completion
from scholars.commands.app import Changes, DataDir, Devices, Events, GeneratorKind, Nodes, RecipeName, SaveEvery, app
from scholars.errors import Interrupted
from scholars.terminal import listed, messages, out


@app.command()
def run(
    recipe: RecipeName,
    folder: Annotated[Path | None, typer.Option("--out", help="The run's folder; default: runs/RECIPE.")] = None,
    data_dir: DataDir = None,
    seed: Annotated[list[int] | None, typer.Option(help="One or more seeds; default: the recipe's.")] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Of replay,naive,exact,joint,lwf,er; default: the recipe's.", autocompletion=completion.method_lists
        ),
    ] = None,
    generator: GeneratorKind = None,
    changes: Changes = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    save_every: SaveEvery = 60,
    events: Events = None,
    devices: Devices = None,
    nodes: Nodes = None,
) -> None:
    """Run an experiment: learn a stream of tasks by several methods.

    Writes results.json, pictures, the scholar of every generation and a report into a folder.
    """
    from scholars.config import parse_changes, read_recipe

    given = parse_changes(changes or [])
    if seed:
        given["seeds"] = seed
    if methods:
        given["methods"] = listed(methods)
    if generator:
        given["generator.kind"] = generator
    plan = read_recipe(recipe, given)

    from scholars.experiment import run as run_experiment
    from scholars.progress import watching
    from scholars.report import cost_table, illustrate, summary_table, write_report
    from scholars.team import together

    folder = folder or Path("runs") / plan.name
    command = shlex.join(["scholars", *(word for word in sys.argv[1:] if word not in ("--resume", "--quiet"))])
    try:
        with together(plan.compute, devices, nodes), watching(messages, events) as watch:
            results = run_experiment(
                plan, folder, data_dir=data_dir, resume=resume, command=command, watch=watch, save_every=save_every
            )
    except Interrupted as stop:
        raise Interrupted(f"{stop}. What was trained is kept: add --resume to go on") from None
    illustrate(folder)
    page = write_report(folder)
    out.print(summary_table(results))
    out.print(cost_table(results))
    out.print(f"Report: {page}", soft_wrap=True, highlight=False, markup=False)


@app.command()
def recipes() -> None:
    """List the shipped recipes."""
    from rich.table import Table

    from scholars.config import read_recipe, shipped_recipes

    table = Table("recipe", "tasks", "what it is", box=None, pad_edge=False)
    for name in shipped_recipes():
        recipe = read_recipe(name)
        cut = [f"{recipe.split.source} in {recipe.split.tasks} parts"] if recipe.split else []
        table.add_row(name, ", ".join([*cut, *(spec.name or spec.source for spec in recipe.tasks)]), recipe.description)
    out.print(table)


@app.command()
def generators() -> None:
    """List the kinds of generator, with their settings."""
    from rich.table import Table

    from scholars.generator_settings import GeneratorSettings

    default = GeneratorSettings()
    for name, section in default.kinds().items():
        mark = " (default)" if name == default.kind else ""
        out.print(f"[bold]{name}[/]{mark}: {type(section).__doc__}", highlight=False)
        table = Table("setting", "default", "meaning", box=None, pad_edge=False)
        for key, field in type(section).model_fields.items():
            table.add_row(f"  generator.{name}.{key}", str(field.default), field.description or "")
        out.print(table)
