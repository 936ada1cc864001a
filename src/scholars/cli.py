"""The command line: parse, call, print. Nothing is decided here.

Only light modules are imported at the top, so that ``scholars --help`` answers at once.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scholars.errors import InputError, Interrupted, ScholarsError

app = typer.Typer(
    help="Teach an image classifier one task after another. It keeps no old data, and forgets nothing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out = Console()
messages = Console(stderr=True)

DataDir = Annotated[Path | None, typer.Option(help="Where data sets are looked for, and downloaded to.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE: change one setting; repeatable.")]


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe (see `scholars recipes`) or a YAML file.")],
    folder: Annotated[Path | None, typer.Option("--out", help="The run's folder; default: runs/RECIPE.")] = None,
    data_dir: DataDir = None,
    seed: Annotated[list[int] | None, typer.Option(help="One or more seeds; default: the recipe's.")] = None,
    methods: Annotated[str | None, typer.Option(help="Of replay,naive,exact,joint; default: the recipe's.")] = None,
    generator: Annotated[str | None, typer.Option(help="See `scholars generators`.")] = None,
    changes: Changes = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
) -> None:
    """Run an experiment: a stream of tasks, by replay and its brackets; writes results.json and a report."""
    from scholars.config import parse_changes, read_recipe

    given = parse_changes(changes or [])
    if seed:
        given["seeds"] = seed
    if methods:
        given["methods"] = [name.strip() for name in methods.split(",")]
    if generator:
        given["generator.kind"] = generator
    plan = read_recipe(recipe, given)

    from scholars.experiment import run as run_experiment
    from scholars.progress import watching
    from scholars.report import illustrate, summary_table, write_report

    folder = folder or Path("runs") / plan.name
    command = shlex.join(["scholars", *(word for word in sys.argv[1:] if word != "--resume")])
    try:
        with watching(messages) as watch:
            results = run_experiment(plan, folder, data_dir=data_dir, resume=resume, command=command, watch=watch)
    except Interrupted as stop:
        raise Interrupted(f"{stop}. What was trained is kept: add --resume to go on") from None
    illustrate(folder)
    page = write_report(folder)
    out.print(summary_table(results))
    out.print(f"Report: {page}", soft_wrap=True)


@app.command()
def inspect(
    scholar: Annotated[Path, typer.Argument(help="A scholar's folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what a scholar knows: its classes, its lineage, its networks."""
    from scholars.inspecting import description, lineage_tree
    from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    if as_json:
        out.print_json(data=description(opened))
    else:
        out.print(lineage_tree(opened, str(scholar)))


@app.command()
def recipes() -> None:
    """List the shipped recipes."""
    from rich.table import Table

    from scholars.config import read_recipe, shipped_recipes

    table = Table("recipe", "tasks", "what it is", box=None, pad_edge=False)
    for name in shipped_recipes():
        recipe = read_recipe(name)
        table.add_row(name, ", ".join(spec.name or spec.source for spec in recipe.tasks), recipe.description)
    out.print(table)


@app.command()
def generators() -> None:
    """List the kinds of generator, with their settings."""
    from rich.table import Table

    from scholars.settings import GeneratorSettings

    default = GeneratorSettings()
    for name, section in default.kinds().items():
        mark = " (default)" if name == default.kind else ""
        out.print(f"[bold]{name}[/]{mark}: {type(section).__doc__}", highlight=False)
        table = Table("setting", "default", "meaning", box=None, pad_edge=False)
        for key, field in type(section).model_fields.items():
            table.add_row(f"  generator.{name}.{key}", str(field.default), field.description or "")
        out.print(table)


def main() -> None:
    """Entry point: errors become one message and an exit code."""
    sys.argv[1:] = _spread(sys.argv[1:])
    try:
        app()
    except InputError as error:
        _fail(str(error), 2)
    except Interrupted as error:
        _fail(str(error), 130)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except (ScholarsError, OSError) as error:
        _fail(str(error), 1)


def _spread(words: list[str]) -> list[str]:
    """``--seed 0 1 2`` -> ``--seed 0 --seed 1 --seed 2``, and likewise ``--set A=1 B=2``."""
    belongs: dict[str, Callable[[str], bool]] = {
        "--seed": lambda word: word.isdigit(),
        "--set": lambda word: "=" in word and not word.startswith("-"),
    }
    result: list[str] = []
    option, taken = "", 0
    for word in words:
        if word in belongs:
            option, taken = word, 0
        elif option and taken and belongs[option](word):
            result.append(option)
        elif option and not taken:
            taken = 1
        else:
            option = ""
        result.append(word)
    return result


def _fail(message: str, code: int) -> None:
    messages.print(f"scholars: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise SystemExit(code)
