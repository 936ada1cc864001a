"""What a scholar is for: `predict`, `dream`, `export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from scholars.commands.app import AsJson, ScholarFolder, app, loading
from scholars.errors import InputError
from scholars.terminal import out


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
) -> None:
    """Name what is in images."""
    with loading():
        from scholars.prediction import FORMS, find_images, predict_files
        from scholars.scholar import Scholar

    if as_json and as_csv:
        raise InputError("--json and --csv are two forms of one answer: choose one")
    words = [word for name in images for word in (sys.stdin.read().splitlines() if name == "-" else [name]) if word]
    files = find_images(words)
    found = predict_files(Scholar.load(scholar), files, among=among, top=top)
    FORMS["json" if as_json else "csv" if as_csv else "text"](found, sys.stdout)


@app.command()
def dream(
    scholar: ScholarFolder,
    count: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 64,
    of: Annotated[str | None, typer.Option("--class", help="Only dreams of this class.")] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal dreams.")] = 0,
    path: Annotated[Path, typer.Option("--out", help="FILE.png for one sheet, or a folder.")] = Path("dreams.png"),
) -> None:
    """Write dreams. One sheet, or one file each in a folder per class."""
    with loading():
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
        dreamt = opened.dreaming(count, seed=seed, of=of)
        write_image_folder(path, ((batch.images, batch.labels) for batch in dreamt), opened.classes)
    out.print(f"{count:,} dreams: {path}", soft_wrap=True, highlight=False, markup=False)


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
        f"{path}: {len(opened.classes)} classes; its probabilities differ from PyTorch's by {worst:.1g} at most",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
