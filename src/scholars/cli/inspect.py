"""The command `inspect`."""

from typing import Annotated

import typer

from scholars.cli.app import AsJson, DataDir, FollowLinks, ScholarFolder, app, fast_imports
from scholars.cli.console import messages, out


@app.command()
def inspect(
    scholar: ScholarFolder,
    tests: Annotated[
        list[str] | None, typer.Option("--test", help="A source to evaluate it on now; repeatable.")
    ] = None,
    follow_links: FollowLinks = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what a scholar knows. Its classes, lineage and networks, and the audits of its dreams."""
    with fast_imports():
        from scholars.cli.sources import SourceOptions, open_scored
        from scholars.inference.describe import describe, lineage_tree
        from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    options = SourceOptions(data_dir, follow_links=follow_links)
    tasks = [scored.task for scored in open_scored(messages, tests or [], options, opened)]
    description = describe(opened, scholar, tasks)
    if as_json:
        out.print_json(data=description)
    else:
        out.print(lineage_tree(opened, str(scholar), description))
