"""What a scholar is for: `predict`, `dream`, `export`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from scholars.commands.app import Address, AsJson, ScholarFolder, app, loading
from scholars.errors import InputError, Interrupted
from scholars.terminal import counting, messages, out


@app.command()
def predict(
    scholar: ScholarFolder,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Files, folders or patterns; - reads a list from stdin.")
    ],
    among: Annotated[str | None, typer.Option(help="Only the classes of this task.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many guesses for each image.")] = 1,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print file,class,probability,unfamiliar lines.")] = False,
    path: Annotated[
        Path | None, typer.Option("--out", help="A folder, for .csv files of 10,000 predictions each: for millions.")
    ] = None,
    address: Address = None,
) -> None:
    """Classify images.

    With --out, an interrupted command resumes when repeated.
    """
    with loading():
        from scholars.prediction import FORMS, find_images, predict_files
        from scholars.scholar import Scholar

    if as_json and as_csv:
        raise InputError("--json and --csv are two forms of one answer: choose one")
    if "" in images:
        raise InputError("an image's name is empty: give a file, a folder or a pattern")
    words = (line for name in images for line in (_lines() if name == "-" else [name]))
    if path is None:
        if address:
            raise InputError("--address is for many images: give --out, a folder for what they are taken for")
        found = predict_files(Scholar.load(scholar), list(find_images(words)), among=among, top=top)
        FORMS["json" if as_json else "csv" if as_csv else "text"](found, out.file)
        return
    if as_json:
        raise InputError("--out writes .csv files: leave --json out")
    if path.suffix:
        raise InputError(f"--out {path}: give the name of a folder, without an ending; for one file there is --csv")

    from scholars.bulk import write_predictions

    with _going_on(), counting(messages, "images") as on_progress:
        count = write_predictions(scholar, words, path, among=among, top=top, address=address, on_progress=on_progress)
    out.print(f"{count:,} images: {path}", soft_wrap=True, highlight=False, markup=False)


@app.command()
def dream(
    scholar: ScholarFolder,
    count: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 64,
    of: Annotated[str | None, typer.Option("--class", help="Only dreams of this class.")] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal dreams.")] = 0,
    path: Annotated[Path, typer.Option("--out", help="FILE.png for one sheet, or a folder.")] = Path("dreams.png"),
    address: Address = None,
) -> None:
    """Write dreams. One sheet, or one file each in a folder per class.

    With a folder, an interrupted command resumes when repeated.
    """
    with loading():
        from scholars.bulk import write_dreams
        from scholars.gallery import write_sheet
        from scholars.scholar import Scholar

    if path.suffix.lower() == ".png":
        if address:
            raise InputError(f"--address is for many dreams, and {path} is one sheet: give --out a folder")
        write_sheet(path, Scholar.load(scholar).dream(count, seed=seed, of=of)[0])
    elif path.suffix:
        raise InputError(f"--out {path}: a sheet is a .png file; for a folder, give a name without an ending")
    else:
        with _going_on(), counting(messages, "dreams") as on_progress:
            write_dreams(scholar, count, path, seed=seed, of=of, address=address, on_progress=on_progress)
    out.print(f"{count:,} dreams: {path}", soft_wrap=True, highlight=False, markup=False)


def _lines() -> Iterator[str]:
    """What stdin lists; nothing, where it is closed."""
    return (name for line in sys.stdin or () if (name := line.rstrip("\r\n")))


@contextmanager
def _going_on() -> Iterator[None]:
    """For work that goes on where it stopped."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stopped. What was made is kept: the same command goes on") from None


@app.command()
def export(
    scholar: ScholarFolder,
    path: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Where to write it.")],
) -> None:
    """Write a scholar's classifier as ONNX. uint8 images [B, H, W, C] in, class probabilities out."""
    with loading():
        from scholars.exporting import export_onnx
        from scholars.scholar import Scholar

    opened = Scholar.load(scholar)
    worst = export_onnx(opened, path)
    out.print(
        f"{path}: {len(opened.classes)} classes; its probabilities differ from PyTorch's in fp32 by "
        f"{worst:.1g} at most",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
