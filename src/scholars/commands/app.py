"""The application that the commands belong to, and the options that several of them share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from scholars.commands import completion
from scholars.terminal import messages, out

app = typer.Typer(
    help="Teach an image classifier one task after another. It keeps no old data, and forgets little.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A shipped recipe (see `scholars recipes`) or a YAML file.",
        autocompletion=completion.recipe_names,
    ),
]
DataDir = Annotated[Path | None, typer.Option(help="Where data sets are looked for, and downloaded to.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE: change one setting; repeatable.")]

GeneratorKind = Annotated[
    str | None, typer.Option(help="See `scholars generators`.", autocompletion=completion.generator_kinds)
]
SaveEvery = Annotated[
    float, typer.Option("--save-every", metavar="SECONDS", min=0, help="How often unfinished work is saved.")
]
Devices = Annotated[
    int | None, typer.Option(min=1, help="Learn in this many processes on this machine, one per device or core.")
]
Nodes = Annotated[int | None, typer.Option(min=1, help="Learn on this many machines; see docs/scaling.md.")]
Events = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="DIR", help="Also write the training metrics for TensorBoard."),
]
Address = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="A Ray cluster to work on, or auto; see docs/sweep.md.")
]

ScholarFolder = Annotated[Path, typer.Argument(metavar="SCHOLAR", help="A scholar's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@contextmanager
def loading() -> Iterator[None]:
    """For the imports of a command that someone waits for: without garbage collection, a fifth faster.

    An import of PyTorch makes a million objects and no garbage, which the collector looks through again and again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"scholars {version('scholars')}", highlight=False)
        raise typer.Exit


@app.callback()
def _first(
    context: typer.Context,
    plugins: Annotated[
        list[str] | None, typer.Option("--plugin", help="A .py file or module with networks of your own; repeatable.")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only results, warnings and errors; allowed anywhere in the command.")
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    messages.quiet = quiet
    if plugins:
        from scholars.registry import load_plugin

        for word in plugins:
            load_plugin(word)
    if context.invoked_subcommand is None:
        from scholars.welcome import welcome

        out.print(welcome(Path.cwd()), highlight=False, markup=False, soft_wrap=True)
