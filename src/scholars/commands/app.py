"""The application that the commands belong to, and the options that several of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Teach an image classifier one task after another. It keeps no old data, and forgets nothing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
DataDir = Annotated[Path | None, typer.Option(help="Where data sets are looked for, and downloaded to.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE: change one setting; repeatable.")]

ScholarFolder = Annotated[Path, typer.Argument(metavar="SCHOLAR", help="A scholar's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.callback()
def _first(
    plugins: Annotated[
        list[str] | None, typer.Option("--plugin", help="A .py file or module with networks of your own; repeatable.")
    ] = None,
) -> None:
    from scholars.registry import load_plugin

    for word in plugins or []:
        load_plugin(word)
