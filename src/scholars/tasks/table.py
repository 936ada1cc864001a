"""Tasks from a CSV file that names the class of each picture."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scholars.errors import InputError
from scholars.tasks.listing import Form, Listing, gathered, natural
from scholars.tasks.pictures import file_bytes
from scholars.tasks.task import Task, chosen, composed

_PARTS = ("train", "test")
# Bytes of a table: some two million lines.
MOST_BYTES = 2**28


def read_table(path: Path, form: Form, classes: Sequence[str] | None) -> Task:
    """Read a task from a CSV file with a header line and the columns ``path`` and ``label``; others are ignored.

    path: of an image file, relative to the folder of the CSV file, and in it
    label: the name of its class
    split, where there is such a column: ``train`` or ``test``. Without it a part of each class is held out, as
        `scholars.tasks.folder.read_folder` does

    form: what the images become
    classes: read these only, in this order; else all, in natural order: "2" before "10"

    Raises InputError, naming the line, for what is not like that.
    """
    rows = read_rows(path)
    names = chosen(path.stem, sorted({label for _, label, _ in rows}, key=natural), classes)
    places = {name: place for place, name in enumerate(names)}
    rows = [row for row in rows if row[1] in places]
    split = {part for _, _, part in rows}
    if split not in ({""}, set(_PARTS)):
        raise InputError(
            f"{path}: the column split has {' and '.join(sorted(split)) or 'nothing'}; it needs both parts"
        )
    # A stable sort: within its part each file keeps its place.
    rows.sort(key=lambda row: row[2] == "test")
    listing = Listing(
        name=path.stem,
        where=path,
        classes=names,
        labels=np.array([places[label] for _, label, _ in rows], dtype=np.int64),
        places=[place for place, _, _ in rows],
        read=lambda place: file_bytes(str(path.parent / place)),
        trained=sum(part == "train" for _, _, part in rows) if split == set(_PARTS) else None,
    )
    return gathered(listing, form)


def read_rows(path: Path) -> list[tuple[str, str, str]]:
    """(path, label, part or nothing) of every line; no picture is looked at. Raises InputError."""
    home = os.path.realpath(path.parent)
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: is no file, or one of more than {MOST_BYTES >> 20} MiB; make several of it")
        # utf-8-sig: spreadsheets begin their files with a mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [column for column in ("path", "label") if column not in (reader.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path}: has no column {' and no '.join(missing)} (its first line has: "
                    f"{', '.join(reader.fieldnames or ()) or 'nothing'}); begin it with the line path,label"
                )
            rows = [_row(path, home, reader.line_num, row) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV in UTF-8: {error}") from error
    if not rows:
        raise InputError(f"{path}: has no line after its header")
    return rows


def _row(path: Path, home: str, line: int, row: dict[str, str | None]) -> tuple[str, str, str]:
    place, label, part = ((row.get(column) or "").strip() for column in ("path", "label", "split"))
    if not place or not label:
        raise InputError(f"{path}, line {line}: has no {'label' if place else 'path'}")
    if not Path(os.path.realpath(path.parent / place)).is_relative_to(home):
        raise InputError(f"{path}, line {line}: {place} leaves the folder of the CSV file; copy the images in")
    if part not in ("", *_PARTS):
        raise InputError(f"{path}, line {line}: split is {part!r}; it is train or test")
    return place, composed(label), part
