"""To be looked at: a run or a scholar by `report`, this machine by `doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scholars.commands.app import AsJson, DataDir, app
from scholars.errors import InputError
from scholars.terminal import messages, out


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN_OR_SCHOLAR", help="One, or several runs to compare.")],
    path: Annotated[
        Path | None, typer.Option("--out", help="The page; default: report.html in a run's folder, else NAME.html.")
    ] = None,
    tests: Annotated[
        list[str] | None, typer.Option("--test", help="For a scholar: a source to be judged on now; repeatable.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write an HTML report of a run, a scholar, or several runs.

    One file of HTML, which opens from disk and needs no network.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder")
    if path and path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {path}: the report is an .html file")

    from scholars import store

    alone = folders[0] if len(folders) == 1 else None
    if alone and (alone / store.DESCRIPTION).is_file():
        from scholars.progress import open_tests
        from scholars.report.portrait import write_portrait
        from scholars.scholar import Scholar

        shape = Scholar.load(alone).settings.image
        tasks = open_tests(messages, tests or [], shape, data_dir, None)
        # Not inside: a scholar's folder holds what its description names, and nothing else.
        named = alone if alone.name.strip(".") else alone.resolve()
        page = write_portrait(alone, path or named.with_name(f"{alone.resolve().name}.html"), tasks)
    elif tests:
        raise InputError("--test is for a scholar: what a run was judged on is in its folder")
    elif alone:
        from scholars.report import write_report

        page = write_report(alone, path)
    else:
        from scholars.report.comparison import write_comparison

        page = write_comparison(folders, path or Path("comparison.html"))
    out.print(f"Report: {page}", soft_wrap=True, highlight=False, markup=False)


@app.command()
def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check that everything needed is here and works. Exit code 1 if something is wrong."""
    from rich.table import Table
    from rich.text import Text

    from scholars.doctor import examine

    with messages.status("looking; the last test takes some ten seconds"):
        findings = list(examine(data_dir))
    if as_json:
        out.print_json(data={"findings": [asdict(finding) for finding in findings]})
    else:
        table = Table("", "what", "found", box=None, pad_edge=False)
        for finding in findings:
            style = {"fine": "green", "note": "yellow", "wrong": "bold red"}[finding.state]
            table.add_row(Text(finding.state, style), Text(finding.what), Text(finding.words))
        out.print(table)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)
