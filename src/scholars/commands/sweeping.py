"""`sweep`: many runs, to choose settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scholars.commands import completion
from scholars.commands.app import Address, DataDir, RecipeName, SaveEvery, app
from scholars.errors import Interrupted
from scholars.terminal import listed, messages, out


@app.command()
def sweep(
    recipe: RecipeName,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE or KEY=V1,V2,...: every combination is run; repeatable."),
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="The seeds of each run; default: the recipe's.")] = None,
    methods: Annotated[
        str,
        typer.Option(help="As for `run`; the first one's accuracy decides.", autocompletion=completion.method_lists),
    ] = "replay",
    folder: Annotated[Path | None, typer.Option("--out", help="The sweep's folder; default: sweeps/RECIPE.")] = None,
    data_dir: DataDir = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep in the folder.")] = False,
    stop_early: Annotated[
        bool, typer.Option("--stop-early", help="Stop the worse half after 2, 4, 8 ... tasks (ASHA).")
    ] = False,
    address: Address = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time on this machine; default: as cores allow.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each run; default: the cores shared out evenly.")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option(min=0, help="GPUs of each run, or a part of one; default: one, where there are any.")
    ] = None,
    save_every: SaveEvery = 60,
) -> None:
    """Run every combination of some settings, and say which is best.

    They are scored on a tenth of the training data that is held out, never on test images.
    """
    from scholars.sweeps.grid import planned

    plan = planned(recipe, changes or [], seed, listed(methods))

    from scholars.sweeps.summary import table, verdict, write_tables
    from scholars.sweeps.trial import Means
    from scholars.sweeps.trials import failures
    from scholars.sweeps.trials import sweep as carry_out

    def say(note: str) -> None:
        messages.print(note, highlight=False, markup=False, soft_wrap=True)

    if plan.left_out:
        say(f"{plan.left_out} combinations differ from others in nothing that they use, and are left out")
    folder = folder or Path("sweeps") / plan.trials[0].recipe.name
    means = Means(address, workers, threads, gpus, stop_early)
    try:
        document = carry_out(
            plan, folder, data_dir=data_dir, resume=resume, means=means, save_every=save_every, on_note=say
        )
    except Interrupted as stop:
        raise Interrupted(f"{stop}. What was trained is kept: add --resume to go on") from None
    write_tables(document, folder)
    out.print(table(document))
    out.print(verdict(document), highlight=False, markup=False, soft_wrap=True)
    made = ", ".join(str(path) for path in (folder / "sweep.md", folder / "sweep.png") if path.is_file())
    out.print(f"Table and picture: {made}", highlight=False, markup=False, soft_wrap=True)
    failures(document)
