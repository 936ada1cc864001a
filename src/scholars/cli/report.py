"""The commands `report` and `doctor`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scholars.cli.app import AsJson, DataDir, app
from scholars.cli.console import messages, out, print_line
from scholars.errors import InputError


@app.command()
def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN_OR_SCHOLAR", help="A run, a scholar, or several runs to compare.")
    ],
    path: Annotated[
        Path | None,
        typer.Option("--out", help="The file to write; default: report.html in a run's folder, else NAME.html."),
    ] = None,
    tests: Annotated[
        list[str] | None, typer.Option("--test", help="A source to evaluate a scholar on now; repeatable.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write an HTML report of a run, a scholar, or several runs.

    The report is one file, which opens from disk and needs no network.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder")
    if path and path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {path}: the report is an .html file")

    from scholars.storage import scholar_folder

    only = folders[0] if len(folders) == 1 else None
    if only and (only / scholar_folder.DESCRIPTION).is_file():
        from scholars.cli.sources import SourceOptions, open_scored
        from scholars.report.scholar_page import write_scholar_page
        from scholars.scholar import Scholar

        found = open_scored(messages, tests or [], SourceOptions(data_dir), Scholar.load(only))
        tasks = [scored.task for scored in found]
        # Beside the scholar's folder: inside there is nothing but what its description names.
        named = only if only.name.strip(".") else only.resolve()
        page = write_scholar_page(only, path or named.with_name(f"{only.resolve().name}.html"), tasks)
    elif tests:
        raise InputError("--test is for a scholar: the evaluation of a run is in its folder")
    elif only:
        from scholars.report import write_report

        page = write_report(only, path)
    else:
        from scholars.report.comparison_page import write_comparison_page

        page = write_comparison_page(folders, path or Path("comparison.html"))
    print_line(f"Report: {page}")


@app.command()
def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check that everything needed is installed and works. Exit code 1 if something is wrong."""
    from rich.table import Table
    from rich.text import Text

    from scholars.cli.doctor import examine

    with messages.status("checking; the last check takes about ten seconds"):
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
