"""The commands `predict`, `review`, `dream` and `export`."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scholars.cli.app import Address, AsJson, FollowLinks, ScholarFolder, SkipUnreadable, app, fast_imports
from scholars.cli.console import explain_resume, messages, out, print_line, progress_counter, urgent
from scholars.errors import InputError, Interrupted, shortlist, visible

if TYPE_CHECKING:
    from rich.table import Table

    from scholars.inference.review import Review


@app.command()
def predict(
    scholar: ScholarFolder,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Files, folders, archives or patterns; - reads their names from stdin."),
    ],
    among: Annotated[str | None, typer.Option(help="Consider only the classes of this task.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of guesses for each image.")] = 1,
    follow_links: FollowLinks = None,
    skip_unreadable: SkipUnreadable = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print file,class,probability,unfamiliar lines.")] = False,
    path: Annotated[
        Path | None, typer.Option("--out", help="Write .csv files of 10,000 predictions each into this folder.")
    ] = None,
    address: Address = None,
) -> None:
    """Classify images.

    With --out, an interrupted command resumes when it is repeated.
    """
    with fast_imports():
        from scholars.inference.predict import FORMS, find_images, predict_files
        from scholars.scholar import Scholar
        from scholars.tasks.skipped import Skipped, describe_skipped

    if as_json and as_csv:
        raise InputError("--json and --csv cannot be combined: choose one")
    if "" in images:
        raise InputError("an image's name is empty: give a file, a folder or a pattern")
    names = (line for name in images for line in (_stdin_lines() if name == "-" else [name]))
    if path is None:
        if address:
            raise InputError("--address is for many images: give --out, a folder for their predictions")
        skipped: list[Skipped] = []
        files = list(find_images(names, skipped, follow_links))
        if skipped:
            print_line(describe_skipped(skipped), urgent)
        unreadable = skipped if skip_unreadable else None
        left_out = len(skipped)
        predictions = predict_files(Scholar.load(scholar), files, among=among, top=top, unreadable=unreadable)
        FORMS["json" if as_json else "csv" if as_csv else "text"](predictions, out.file, skipped)
        if bad := [f"  {each.file}: {each.reason}" for each in skipped[left_out:]]:
            print_line(visible(f"left out, for they cannot be read:\n{shortlist(bad, chr(10))}"), urgent)
        return
    if as_json:
        raise InputError("--out writes .csv files: leave out --json")
    if path.suffix:
        raise InputError(f"--out {path}: give a folder, a name without an extension; for one file there is --csv")

    from scholars.inference.bulk import write_predictions

    with _resumable(), progress_counter(messages, "images") as on_progress:
        count = write_predictions(
            scholar,
            names,
            path,
            among=among,
            top=top,
            follow_links=follow_links,
            skip_unreadable=skip_unreadable,
            address=address,
            on_progress=on_progress,
        )
    print_line(f"{count:,} images: {path}")


@app.command()
def review(
    scholar: ScholarFolder,
    images: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder of images without labels.")],
    top: Annotated[int, typer.Option(min=1, help="How many images to list.")] = 20,
    follow_links: FollowLinks = None,
    as_json: AsJson = False,
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.csv",
            help="Write a table whose column label is for you to fill in, and for learn to read.",
        ),
    ] = None,
) -> None:
    """List the images of which a scholar is least sure. Unfamiliar ones first, then by the margin.

    The margin is the probability of the best guess minus that of the second.
    """
    with fast_imports():
        from scholars.inference.predict import find_images
        from scholars.inference.review import check_table, review
        from scholars.scholar import Scholar
        from scholars.tasks.csv_table import name_file
        from scholars.tasks.skipped import describe_skipped

    if path:  # what would be refused in the end is refused before the images are looked at
        check_table(path)
        name_file(path, next(find_images([images], None, follow_links)))
    with progress_counter(messages, "images") as on_progress:
        found = review(Scholar.load(scholar), images, top, follow_links, on_progress)
    if found.skipped:
        print_line(describe_skipped(found.skipped), urgent)
    if found.unreadable:
        lines = shortlist([f"  {each.file}: {each.reason}" for each in found.unreadable], "\n")
        print_line(visible(f"cannot be read, {len(found.unreadable):,} in all:\n{lines}"), urgent)
    strange = "" if found.unfamiliar is None else f" (of all, {found.unfamiliar:,} are unfamiliar)"
    summary = f"{len(found.predictions):,} of {found.images:,} images, the least certain first{strange}"
    if path:
        found.write_csv(path)
        command = shlex.join(["scholars", "learn", str(scholar), str(path)])
        print_line(f"{path}: {summary}. Fill in its column label, then: {command}", messages if as_json else out)
    if as_json:
        out.file.write(json.dumps(found.to_json(), ensure_ascii=False, indent=1) + "\n")
    elif not path:
        print_line(summary, messages)
        out.print(_review_table(found))


def _review_table(found: "Review") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("file", "best guess", "", "second guess", "", "", box=None, pad_edge=False)
    for place in (0, 1, 3):
        table.columns[place].overflow = "fold"
    for place in (2, 4):
        table.columns[place].justify = "right"
    for p in found.predictions:
        guesses = [cell for name, value in p.guesses for cell in (name, f"{100 * value:.1f} %")]
        cells = [str(p.file), *guesses, *[""] * (4 - len(guesses)), "unfamiliar" if p.unfamiliar else ""]
        table.add_row(*(Text(visible(cell).replace("\n", "\\n")) for cell in cells))
    return table


@app.command()
def dream(
    scholar: ScholarFolder,
    count: Annotated[int, typer.Option("-n", min=1, help="Number of dreams.")] = 64,
    of: Annotated[str | None, typer.Option("--class", help="Draw only dreams of this class.")] = None,
    seed: Annotated[int, typer.Option(help="The seed: equal seeds give equal dreams.")] = 0,
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="FILE.png for one picture of all, or a folder; with a backbone FILE.safetensors or FILE.npz.",
        ),
    ] = None,
    address: Address = None,
) -> None:
    """Draw dreams and write them. One picture of all, or a file for each in a folder per class.

    With a folder, an interrupted command resumes when it is repeated. A scholar with a backbone dreams of features.
    """
    with fast_imports():
        from scholars.inference.bulk import write_dreams
        from scholars.inference.feature_dreams import write_feature_dreams
        from scholars.scholar import Scholar
        from scholars.storage.image_files import write_sheet

    opened = Scholar.load(scholar)
    path = path or Path("dreams.safetensors" if opened.backbone else "dreams.png")
    if opened.backbone:
        if address:
            raise InputError("--address is for dreams that are images; this scholar dreams of features")
        write_feature_dreams(opened, count, path, seed=seed, of=of)
    elif path.suffix.lower() == ".png":
        if address:
            raise InputError(f"--address is for many dreams, and {path} is one picture: give --out a folder")
        write_sheet(path, opened.dream(count, seed=seed, of=of)[0])
    elif path.suffix:
        raise InputError(f"--out {path}: a picture is a .png file; for a folder, give a name without an extension")
    else:
        with _resumable(), progress_counter(messages, "dreams") as on_progress:
            write_dreams(scholar, count, path, seed=seed, of=of, address=address, on_progress=on_progress)
    print_line(f"{count:,} dreams: {path}")


@app.command()
def export(
    scholar: ScholarFolder,
    path: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="The file to write.")],
    fixed: Annotated[
        bool, typer.Option("--fixed", help="Take images of the scholar's own size only, and leave resizing to others.")
    ] = False,
) -> None:
    """Write a scholar's classifier as ONNX. uint8 images [B, H, W, C] in, class probabilities out.

    Of a scholar with a backbone it takes photos of any size, unless --fixed. Scholars of pixels take their own size.
    """
    with fast_imports():
        from scholars.inference.onnx_export import export_onnx
        from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    found = export_onnx(opened, path, fixed=fixed)
    resizing = "" if found.resizing is None else f", and by {found.resizing:.1g} where it resizes instead of Pillow"
    print_line(
        f"{path}: {len(opened.classes)} classes; its probabilities differ from PyTorch's in fp32 by "
        f"{found.pytorch:.1g} at most{resizing}"
    )


def _stdin_lines() -> Iterator[str]:
    """Yield the lines of stdin that are not empty; none where it is closed."""
    return (name for line in sys.stdin or () if (name := line.rstrip("\r\n")))


@contextmanager
def _resumable() -> Iterator[None]:
    """Say on Ctrl-C how the work is resumed."""
    with explain_resume("the same command resumes it"):
        try:
            yield
        except KeyboardInterrupt:
            raise Interrupted("stopped") from None
