"""The commands `run`, `recipes`, `generators` and `backbones`."""

import shlex
import sys
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
    GeneratorKind,
    Minutes,
    Nodes,
    RecipeName,
    SaveEvery,
    app,
    fast_imports,
)
from scholars.cli.console import budget_changes, explain_resume, messages, out, print_line, split_list


@app.command()
def run(
    recipe: RecipeName,
    folder: Annotated[Path | None, typer.Option("--out", help="The run's folder; default: runs/RECIPE.")] = None,
    data_dir: DataDir = None,
    seed: Annotated[list[int] | None, typer.Option(help="One or more seeds; default: the recipe's.")] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Some of replay,naive,exact,joint,lwf,er; default: the recipe's.",
            autocompletion=completion.complete_methods,
        ),
    ] = None,
    generator: GeneratorKind = None,
    backbone: BackboneName = None,
    budget: BudgetName = None,
    minutes: Minutes = None,
    changes: Changes = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in the folder.")] = False,
    save_every: SaveEvery = 60,
    events: Events = None,
    devices: Devices = None,
    nodes: Nodes = None,
) -> None:
    """Run an experiment: learn a stream of tasks by several methods.

    Writes results.json, plots, the scholar of every generation and a report into a folder.
    """
    from scholars.experiments.recipe import read_recipe
    from scholars.settings.overrides import parse_changes

    changed = parse_changes(changes or [])
    if seed:
        changed["seeds"] = seed
    if methods:
        changed["methods"] = split_list(methods)
    changed |= budget_changes(budget, minutes)
    if generator:
        changed["generator.kind"] = generator
    if backbone == "none":
        changed["backbone"] = None
    elif backbone not in (None, "auto"):
        changed["backbone.name"] = backbone
    plan = read_recipe(recipe, changed)

    from scholars.cli.progress import show_progress
    from scholars.compute.processes import distributed
    from scholars.experiments.run import run as run_experiment
    from scholars.report import cost_table, draw_figures, summary_table, write_report

    folder = folder or Path("runs") / plan.name
    command = shlex.join(["scholars", *(word for word in sys.argv[1:] if word not in ("--resume", "--quiet"))])
    with (
        explain_resume("add --resume to go on"),
        distributed(plan.compute, devices, nodes),
        show_progress(messages, events) as callbacks,
    ):
        results = run_experiment(
            plan,
            folder,
            data_dir=data_dir,
            resume=resume,
            command=command,
            callbacks=callbacks,
            save_every=save_every,
        )
    draw_figures(folder)
    page = write_report(folder)
    out.print(summary_table(results))
    out.print(cost_table(results))
    print_line(f"Report: {page}")


@app.command()
def recipes() -> None:
    """List the shipped recipes."""
    from rich.table import Table

    from scholars.experiments.recipe import read_recipe, shipped_recipes

    table = Table("recipe", "tasks", "description", box=None, pad_edge=False)
    for name in shipped_recipes():
        recipe = read_recipe(name)
        split = [f"{recipe.split.source} in {recipe.split.tasks} parts"] if recipe.split else []
        tasks = [*split, *(spec.name or spec.source for spec in recipe.tasks)]
        table.add_row(name, ", ".join(tasks), recipe.description)
    out.print(table)


@app.command()
def generators(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", help="List only this kind.", autocompletion=completion.complete_generator),
    ] = None,
) -> None:
    """List the kinds of generator, with their settings."""
    from rich.table import Table

    from scholars.settings.generator import DEFAULT_GENERATOR, GENERATORS_AND_MIXTURE, generator_settings
    from scholars.settings.registry import check_kind

    if kind is not None:
        check_kind("generator", kind)
    for name in GENERATORS_AND_MIXTURE if kind is None else [kind]:
        settings = generator_settings(name)
        mark = " (default)" if name == DEFAULT_GENERATOR else ""
        out.print(f"[bold]{name}[/]{mark}: {settings.__doc__}", highlight=False)
        table = Table("setting", "default", "meaning", box=None, pad_edge=False)
        for key, field in settings.model_fields.items():
            if key != "kind":
                table.add_row(f"  generator.{key}", str(field.default), field.description or "")
        out.print(table)


@app.command()
def backbones(
    pattern: Annotated[
        str | None, typer.Argument(metavar="PATTERN", help="List timm's weights that match, such as 'resnet*'.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List pretrained backbones. Those at hand with their speed, and some that would be downloaded."""
    with fast_imports():
        from dataclasses import asdict

        from rich.table import Table

        from scholars.backbones.catalogue import list_backbones

    with messages.status("measuring the backbones that are at hand"):
        entries = list(list_backbones(pattern))
    if as_json:
        out.print_json(data={"backbones": [asdict(entry) for entry in entries]})
        return
    table = Table("backbone", "features", "pixels", "images/s", "licence", "weights", box=None, pad_edge=False)
    for entry in entries:
        speed = "" if entry.images_per_second is None else f"{entry.images_per_second:,.0f}"
        features = "" if entry.features is None else f"{entry.features:,}"
        state = "at hand" if entry.at_hand else "to be downloaded"
        table.add_row(entry.name, features, str(entry.size), speed, entry.licence, state)
    out.print(table)
    print_line("Others: scholars backbones 'resnet*'. Weights of your own: --backbone NAME=FILE.")
