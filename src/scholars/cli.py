"""The command line: parse, call, print. Nothing is decided here.

Only light modules are imported at the top, so that ``scholars --help`` answers at once.
"""

from __future__ import annotations

import shlex
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from scholars.errors import InputError, Interrupted, ScholarsError
from scholars.terminal import fail, listed, messages, out, spread, warn

app = typer.Typer(
    help="Teach an image classifier one task after another. It keeps no old data, and forgets nothing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
DataDir = Annotated[Path | None, typer.Option(help="Where data sets are looked for, and downloaded to.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE: change one setting; repeatable.")]

Scholar_ = Annotated[Path, typer.Argument(metavar="SCHOLAR", help="A scholar's folder.")]
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


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe (see `scholars recipes`) or a YAML file.")],
    folder: Annotated[Path | None, typer.Option("--out", help="The run's folder; default: runs/RECIPE.")] = None,
    data_dir: DataDir = None,
    seed: Annotated[list[int] | None, typer.Option(help="One or more seeds; default: the recipe's.")] = None,
    methods: Annotated[
        str | None, typer.Option(help="Of replay,naive,exact,joint,lwf,er; default: the recipe's.")
    ] = None,
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
        given["methods"] = listed(methods)
    if generator:
        given["generator.kind"] = generator
    plan = read_recipe(recipe, given)

    from scholars.experiment import run as run_experiment
    from scholars.progress import watching
    from scholars.report import cost_table, illustrate, summary_table, write_report

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
    out.print(cost_table(results))
    out.print(f"Report: {page}", soft_wrap=True)


@app.command(name="learn")
def learn_task(
    scholar: Annotated[Path, typer.Argument(help="The scholar's folder; made if absent.")],
    source: Annotated[str, typer.Argument(help="A name, an image folder, an .npz or .csv file, or hf:owner/name.")],
    name: Annotated[str | None, typer.Option(help="What to call the task; default: the source's name.")] = None,
    classes: Annotated[str | None, typer.Option(help="Only these classes: a,b,c.")] = None,
    test: Annotated[str | None, typer.Option(help="A source whose test part is used instead.")] = None,
    origin: Annotated[Path | None, typer.Option("--from", help="Start from a copy of this scholar.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scholar of before as SCHOLAR.gen-N.")] = False,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal scholars.")] = 0,
    generator: Annotated[str | None, typer.Option(help="See `scholars generators`.")] = None,
    changes: Changes = None,
) -> None:
    """Teach a scholar one more task. What it knew before it dreams of; no old data is read."""
    from scholars.config import parse_changes

    given = parse_changes(changes or [])
    if generator:
        given["generator.kind"] = generator

    from dataclasses import replace

    from scholars.lifetime import settings_of, teach
    from scholars.progress import learning, open_watched

    shape = settings_of(scholar, origin, given).image
    only = listed(classes) if classes else None
    task = open_watched(messages, source, shape, data_dir, only)
    task = replace(task, name=name) if name else task
    task = task.tested_on(open_watched(messages, test, shape, data_dir, only)) if test else task
    try:
        with learning(messages, task.name, seed) as watch:
            taught = teach(scholar, task, origin=origin, changes=given, seed=seed, keep=keep, watch=watch)
    except Interrupted as stop:
        raise Interrupted(f"{stop}. What was trained is kept: the same command goes on") from None
    record = taught.lineage[-1]
    out.print(
        f"{scholar}: generation {taught.generation} knows {len(taught.classes)} classes; "
        f"{100 * record.accuracy:.1f} % right on the {record.test_count:,} test images of {record.name}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


@app.command()
def predict(
    scholar: Scholar_,
    images: Annotated[list[str], typer.Argument(help="Files, folders or patterns; - reads a list from stdin.")],
    among: Annotated[str | None, typer.Option(help="Only the classes of this task.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many guesses for each image.")] = 1,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print file,class,probability,unfamiliar lines.")] = False,
) -> None:
    """Name what is in images."""
    from scholars.prediction import FORMS, find_images, predict_files
    from scholars.scholar import Scholar

    if as_json and as_csv:
        raise InputError("--json and --csv are two forms of one answer: choose one")
    words = [word for name in images for word in (sys.stdin.read().splitlines() if name == "-" else [name]) if word]
    files = find_images(words)
    found = predict_files(Scholar.load(scholar), files, among=among, top=top)
    FORMS["json" if as_json else "csv" if as_csv else "text"](found, sys.stdout)


@app.command()
def evaluate(
    scholar: Scholar_,
    sources: Annotated[list[str], typer.Argument(help="Names, image folders or .npz files; their test parts.")],
    classes: Annotated[str | None, typer.Option(help="Only these classes: a,b,c.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Score a scholar on real test images."""
    from scholars.evaluate import accuracy
    from scholars.progress import open_watched
    from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    only = listed(classes) if classes else None
    tasks = [open_watched(messages, source, opened.settings.image, data_dir, only) for source in sources]
    scores = [(task, accuracy(opened, task)) for task in tasks]
    if as_json:
        rows = [{"task": task.name, "accuracy": score, "images": len(task.test)} for task, score in scores]
        out.print_json(data={"results": rows})
        return
    for task, score in scores:
        out.print(f"{task.name}: {100 * score:.2f} % of {len(task.test):,} test images", highlight=False, markup=False)


@app.command()
def dream(
    scholar: Scholar_,
    count: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 64,
    of: Annotated[str | None, typer.Option("--class", help="Only dreams of this class.")] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal dreams.")] = 0,
    path: Annotated[Path, typer.Option("--out", help="FILE.png for one sheet, or a folder.")] = Path("dreams.png"),
) -> None:
    """Write dreams: one sheet, or one file each in a folder per class."""
    from scholars.gallery import write_image_folder, write_sheet
    from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    if path.suffix.lower() == ".png":
        write_sheet(path, opened.dream(count, seed=seed, of=of)[0])
    elif path.suffix:
        raise InputError(f"--out {path}: a sheet is a .png file; for a folder, give a name without an ending")
    elif path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} is there already: choose another --out, or remove it")
    else:
        images, targets = opened.dream(count, seed=seed, of=of)
        write_image_folder(path, images, targets.argmax(1), opened.classes)
    out.print(f"{count:,} dreams: {path}", soft_wrap=True, highlight=False, markup=False)


@app.command()
def inspect(
    scholar: Scholar_,
    tests: Annotated[list[str] | None, typer.Option("--test", help="A source to be scored on now; repeatable.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what a scholar knows: its classes, its lineage, its networks, how its dreams were when they were audited."""
    from scholars.inspecting import described, lineage_tree
    from scholars.progress import open_watched
    from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    shape = opened.settings.image
    found = described(
        opened, scholar, [open_watched(messages, source, shape, data_dir, None) for source in tests or []]
    )
    if as_json:
        out.print_json(data=found)
    else:
        out.print(lineage_tree(opened, str(scholar), found))


@app.command()
def export(
    scholar: Scholar_,
    path: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Where to write it.")],
) -> None:
    """Write a scholar's classifier as ONNX: uint8 images [B, H, W, C] in, class probabilities out."""
    from scholars.exporting import export_onnx
    from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    worst = export_onnx(opened, path)
    out.print(
        f"{path}: {len(opened.classes)} classes; its probabilities differ from PyTorch's by {worst:.1g} at most",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


@app.command()
def recipes() -> None:
    """List the shipped recipes."""
    from rich.table import Table

    from scholars.config import read_recipe, shipped_recipes

    table = Table("recipe", "tasks", "what it is", box=None, pad_edge=False)
    for name in shipped_recipes():
        recipe = read_recipe(name)
        cut = [f"{recipe.split.source} in {recipe.split.tasks} parts"] if recipe.split else []
        table.add_row(name, ", ".join([*cut, *(spec.name or spec.source for spec in recipe.tasks)]), recipe.description)
    out.print(table)


@app.command()
def generators() -> None:
    """List the kinds of generator, with their settings."""
    from rich.table import Table

    from scholars.generator_settings import GeneratorSettings

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
    sys.argv[1:] = spread(sys.argv[1:])
    warnings.showwarning = warn
    try:
        app()
    except InputError as error:
        fail(str(error), 2)
    except Interrupted as error:
        fail(str(error), 130)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except (ScholarsError, OSError) as error:
        fail(str(error), 1)
