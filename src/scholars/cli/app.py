"""The Typer application, and the arguments and options that several commands share."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from scholars.cli import completion
from scholars.cli.console import messages, print_line

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
        autocompletion=completion.complete_recipe,
    ),
]
DataDir = Annotated[Path | None, typer.Option(help="Where to look for data sets, and to download them to.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE: change one setting; repeatable.")]

GeneratorKind = Annotated[
    str | None,
    typer.Option(
        help="The kind of generator; see `scholars generators`.", autocompletion=completion.complete_generator
    ),
]
BackboneName = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="The pretrained network that looks at photographs; NAME=FILE, none, or auto; see `scholars backbones`.",
    ),
]
BudgetName = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="small|normal|large",
        help="How long to train: small and large take about 1/4 and 3 times as long; or so many times as long.",
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(help="Train for about so many minutes: the machine's pace is measured, and the budget chosen by it."),
]
SaveEvery = Annotated[
    float, typer.Option("--save-every", metavar="SECONDS", min=0, help="How often to save unfinished work.")
]
Devices = Annotated[
    int | None, typer.Option(min=1, help="Train in this many processes on this machine, one per device or core.")
]
Nodes = Annotated[int | None, typer.Option(min=1, help="Train on this many machines; see docs/scaling.md.")]
Events = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="DIR", help="Also write the training metrics for TensorBoard."),
]
Address = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="A Ray cluster to work on, or auto; see docs/sweep.md.")
]

ScholarFolder = Annotated[Path, typer.Argument(metavar="SCHOLAR", help="A scholar's folder.")]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-unreadable", help="Go on without image files that cannot be read, and count them.")
]
FollowLinks = Annotated[
    Path | None,
    typer.Option(
        "--follow-links", metavar="ROOT", help="Read links that lead into this folder, as git-annex and DVC make them."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@contextmanager
def fast_imports() -> Iterator[None]:
    """Import without garbage collection, which makes it a fifth faster.

    An import of PyTorch makes a million objects and no garbage, and the collector searches them again and again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _print_version(given: bool) -> None:
    if given:
        print_line(f"scholars {version('scholars')}")
        raise typer.Exit


@app.callback()
def _start(
    context: typer.Context,
    plugins: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="A .py file or module with networks of your own; repeatable."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only results, warnings and errors; allowed anywhere.")
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    messages.quiet = quiet
    if plugins:
        from scholars.settings.registry import load_plugin

        for name in plugins:
            load_plugin(name)
    if context.invoked_subcommand is None:
        from scholars.cli.welcome import welcome_text

        print_line(welcome_text(Path.cwd()))
