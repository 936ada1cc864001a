"""Tasks from a CSV file that lists image files and their classes."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scholars.errors import InputError
from scholars.tasks.decoding import read_file
from scholars.tasks.listing import DecodeOptions, ImageListing, natural_key
from scholars.tasks.load import load_listing
from scholars.tasks.task import Task, nfc, resolve_classes

_PARTS = ("train", "test")
# Bytes of a CSV file: some two million lines.
MAX_BYTES = 2**28


class Row(NamedTuple):
    """A line of the file: path of the image, name of its class, and ``train``, ``test`` or an empty text."""

    path: str
    label: str
    split: str


def read_csv(path: Path, options: DecodeOptions, classes: Sequence[str] | None) -> Task:
    """Return the task of a CSV file with a header line and the columns ``path`` and ``label``; others are ignored.

    path: of an image file, relative to the folder of the CSV file, and in it
    label: the name of its class
    split, where there is such a column: ``train`` or ``test``. Without it a part of each class is held out, as
        `scholars.tasks.folder.read_folder` does

    options: how to decode the images
    classes: read these only, in this order; else all, in natural order: "2" before "10"

    Raises InputError, naming the line, for anything else.
    """
    rows = read_rows(path)
    names = resolve_classes(path.stem, sorted({row.label for row in rows}, key=natural_key), classes)
    chosen = set(names)
    rows = [row for row in rows if row.label in chosen]
    splits = {row.split for row in rows}
    if splits not in ({""}, set(_PARTS)):
        found = " and ".join(split or "nothing" for split in sorted(splits))
        raise InputError(f"{path}: the column split holds {found}; every line needs train or test, and both must occur")
    listing = ImageListing.of(
        path.stem,
        path,
        names,
        train=[(row.path, row.label) for row in rows if row.split != "test"],
        test=None if splits == {""} else [(row.path, row.label) for row in rows if row.split == "test"],
        read=lambda key: read_file(str(path.parent / key)),
    )
    return load_listing(listing, options)


def read_rows(path: Path) -> list[Row]:
    """Return the lines of a CSV file; no image is looked at. Raises InputError."""
    home = os.path.realpath(path.parent)
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: is no file, or is larger than {MAX_BYTES >> 20} MiB; split it into several")
        # utf-8-sig: spreadsheets begin their files with a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or ()
            if missing := [column for column in ("path", "label") if column not in columns]:
                raise InputError(
                    f"{path}: has no column {' and no '.join(missing)} (its first line has: "
                    f"{', '.join(columns) or 'nothing'}); begin it with the line path,label"
                )
            rows = [_check_row(path, home, reader.line_num, row) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV in UTF-8: {error}") from error
    if not rows:
        raise InputError(f"{path}: has no line after its header")
    return rows


def _check_row(path: Path, home: str, line: int, cells: dict[str, str | None]) -> Row:
    """Return a line of the file. Raises InputError if a cell is empty or wrong.

    home: the real path of the file's folder
    """
    row = Row(*((cells.get(column) or "").strip() for column in ("path", "label", "split")))
    if not row.path or not row.label:
        raise InputError(f"{path}, line {line}: has no {'label' if row.path else 'path'}")
    if not Path(os.path.realpath(path.parent / row.path)).is_relative_to(home):
        raise InputError(f"{path}, line {line}: {row.path} leaves the folder of the CSV file; copy the images in")
    if row.split not in ("", *_PARTS):
        raise InputError(f"{path}, line {line}: split is {row.split!r}; it is train or test")
    return row._replace(label=nfc(row.label))
