"""The command `sweep`: many runs, to choose settings."""

from pathlib import Path
from typing import Annotated

import typer

from scholars.cli import completion
from scholars.cli.app import Address, DataDir, RecipeName, SaveEvery, app
from scholars.cli.console import explain_resume, messages, out, print_line, split_list


@app.command()
def sweep(
    recipe: RecipeName,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE or KEY=V1,V2,...: every combination is run; repeatable."),
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="The seeds of every run; default: the recipe's.")] = None,
    methods: Annotated[
        str,
        typer.Option(
            help="As for `run`; the accuracy of the first decides.", autocompletion=completion.complete_methods
        ),
    ] = "replay",
    folder: Annotated[Path | None, typer.Option("--out", help="The sweep's folder; default: sweeps/RECIPE.")] = None,
    data_dir: DataDir = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the sweep in the folder.")] = False,
    stop_early: Annotated[
        bool, typer.Option("--stop-early", help="Stop the worse half after 2, 4, 8 ... tasks (ASHA).")
    ] = False,
    address: Address = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time on this machine; default: one per core.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each run; default: an even share of the cores.")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option(min=0, help="GPUs of each run, may be a fraction; default: 1 if there are any.")
    ] = None,
    save_every: SaveEvery = 60,
) -> None:
    """Run every combination of some settings and show the best.

    Combinations are compared on a tenth of the training data, held out, never on test images.
    """
    from scholars.experiments.sweeps.grid import plan_sweep

    plan = plan_sweep(recipe, changes or [], seed, split_list(methods))

    from scholars.experiments.sweeps.sweep import raise_failures
    from scholars.experiments.sweeps.sweep import sweep as run_sweep
    from scholars.experiments.sweeps.trial import Resources
    from scholars.report.sweep_summary import build_table, describe_best, write_tables

    folder = folder or Path("sweeps") / plan.trials[0].recipe.name
    with explain_resume("add --resume to go on"):
        document = run_sweep(
            plan,
            folder,
            data_dir=data_dir,
            resume=resume,
            resources=Resources(address, workers, threads, gpus, stop_early),
            save_every=save_every,
            on_note=lambda note: print_line(note, messages),
        )
    write_tables(document, folder)
    out.print(build_table(document))
    print_line(describe_best(document))
    written = ", ".join(str(path) for path in (folder / "sweep.md", folder / "sweep.png") if path.is_file())
    print_line(f"Table and picture: {written}")
    raise_failures(document)
