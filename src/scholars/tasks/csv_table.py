"""Tasks from a CSV file that lists image files and their classes."""

import codecs
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scholars.errors import InputError
from scholars.tasks.archives import read_path
from scholars.tasks.layout import PARTS
from scholars.tasks.listing import DecodeOptions, ImageListing, natural_key
from scholars.tasks.load import load_listing
from scholars.tasks.skipped import Skipped
from scholars.tasks.task import Task, nfc, resolve_classes
from scholars.tasks.trees import LinkRoots

# What people and programs call the columns, the first that occurs counts.
_COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img"),
    "label": ("label", "class", "class_name", "category", "target"),
    "split": ("split", "set", "subset", "part", "partition"),
}
_PARTS = {name: part for part, names in PARTS.items() for name in names}
# As spreadsheets write them: of many countries with semicolons, as "Unicode text" with tabs, in UTF-16.
_DELIMITERS = ",;\t"
# Bytes of a CSV file: some two million lines.
MAX_BYTES = 2**28
# What text that is not UTF-8 was most likely written in.
_WESTERN = "cp1252"


class Row(NamedTuple):
    """A line of the file.

    path: of the image
    label: name of its class; empty: it has none
    split: ``train``, ``test``, ``validation`` or empty
    """

    path: str
    label: str
    split: str


def read_csv(
    path: Path, options: DecodeOptions, classes: Sequence[str] | None, follow_links: str | Path | None = None
) -> Task:
    """Return the task of a CSV file with a header line and the columns ``path`` and ``label``; others are ignored.

    path: of an image file, relative to the folder of the CSV file, and in it; with slashes or backslashes. Also called
        file, filename, image ...
    label: the name of its class; also called class, category ... Lines without one are left out, and counted: in a file
        that `scholars review` wrote these are the images that nobody has labelled
    split, where there is such a column: ``train``, ``test`` or ``validation``, which is the test part where there is no
        other, else left out. Without it a part of each class is held out, as `scholars.tasks.folder.read_folder` does

    In UTF-8 or UTF-16, else Windows' Western European code page, which a note says; with commas, semicolons or tabs.

    options: how to decode the images
    classes: read these only, in this order; else all, in natural order: "2" before "10"
    follow_links: paths may also lead to what is in this folder

    Raises InputError, naming the line, for anything else.
    """
    listed, notes = read_rows(path, follow_links)
    rows = [row for row in listed if row.label]
    if not rows:
        raise InputError(f"{path}: no line has a label; write the class of each image into the column label")
    skipped = [Skipped(row.path, "no label") for row in listed if not row.label]
    names = resolve_classes(path.stem, sorted({row.label for row in rows}, key=natural_key), classes)
    chosen = set(names)
    rows = [row for row in rows if row.label in chosen]
    splits = {row.split for row in rows}
    tests = "test" if "test" in splits else "validation"
    if splits != {""} and not ({"train", tests} <= splits and "" not in splits):
        found = " and ".join(split or "nothing" for split in sorted(splits))
        raise InputError(f"{path}: the column split holds {found}; every line needs train or test, and both must occur")
    if tests == "validation" in splits:
        notes.append("validation is the test part: there is no other")
    for row in rows:
        if row.split not in ("", "train", tests):
            skipped.append(Skipped(row.path, "of the validation part, beside train and test"))
    listing = ImageListing.of(
        path.stem,
        path,
        names,
        train=[(row.path, row.label) for row in rows if row.split in ("", "train")],
        test=None if splits == {""} else [(row.path, row.label) for row in rows if row.split == tests],
        read=lambda key: read_path(str(path.parent / key)),
        skipped=tuple(skipped),
        notes=tuple(notes),
    )
    return load_listing(listing, options)


def read_rows(path: Path, follow_links: str | Path | None = None) -> tuple[list[Row], list[str]]:
    """Return the lines of a CSV file, and notes for people; no image is looked at. Raises InputError.

    follow_links: paths may also lead to what is in this folder
    """
    roots, notes = LinkRoots(path.parent, follow_links), list[str]()
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: is no file, or is larger than {MAX_BYTES >> 20} MiB; split it into several")
        text, encoding = _decode(path.read_bytes())
        if encoding == _WESTERN:
            notes.append(f"{path.name} is not UTF-8, and was read as {encoding}: check the letters with accents")
        if text[:4].lower() == "sep=":  # as Excel writes and reads it
            text = text.partition("\n")[2]
        header = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=header.count)
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
        places = _find_columns(path, [name.strip() for name in reader.fieldnames or ()])
        reader.fieldnames = [places.get(name.strip(), name) for name in reader.fieldnames or ()]
        rows = [_check_row(path, roots, reader.line_num, row) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    if not rows:
        raise InputError(f"{path}: has no line after its header")
    once = list(dict.fromkeys(rows))
    if len(once) < len(rows):
        notes.append(f"lines that repeat another one are not counted: {len(rows) - len(once):,}")
    return once, notes


def name_file(path: Path, file: Path) -> str:
    """Return what the column ``path`` of a CSV file holds for an image file, so that `read_csv` finds it again.

    Raises InputError where it would not: the image must be in the CSV file's folder or below.
    """
    home = Path(os.path.realpath(path.parent))
    # The folder's links are followed, the file keeps its own name.
    named = Path(os.path.realpath(file.parent), file.name)
    if not (named.is_relative_to(home) and Path(os.path.realpath(file)).is_relative_to(home)):
        raise InputError(f"{file} is outside of the folder of {path}: write the CSV file beside the images, or above")
    name = named.relative_to(home).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{file}: its name is not valid text, so that no CSV file can name it; rename it") from None
    if name != name.strip():
        raise InputError(f"{file}: its name begins or ends with a space, which is no part of a cell; rename it")
    # Spreadsheets would compute a cell that begins so.
    return f"./{name}" if name.startswith(("=", "+", "-", "@")) else name


def _decode(content: bytes) -> tuple[str, str]:
    """Return the text of a file, and its encoding. Raises UnicodeError."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16"), "utf-16"
    try:
        # Spreadsheets begin their files with a byte order mark.
        return content.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        return content.decode(_WESTERN), _WESTERN


def _find_columns(path: Path, columns: Sequence[str]) -> dict[str, str]:
    """Return what each column that is used is called here. Raises InputError where one is missing."""
    folded = {name.casefold(): name for name in reversed(columns)}
    found = {
        meaning: next((folded[name] for name in names if name in folded), None) for meaning, names in _COLUMNS.items()
    }
    if missing := [meaning for meaning in ("path", "label") if found[meaning] is None]:
        raise InputError(
            f"{path}: has no column {' and no '.join(missing)} (its first line has: "
            f"{', '.join(columns) or 'nothing'}); begin it with the line path,label"
        )
    return {name: meaning for meaning, name in found.items() if name is not None}


def _check_row(path: Path, roots: LinkRoots, line: int, cells: dict[str, str | None]) -> Row:
    """Return a line of the file. Raises InputError if a cell is wrong, or that of the path is empty."""
    row = Row(*((cells.get(column) or "").strip() for column in ("path", "label", "split")))
    if not row.path:
        raise InputError(f"{path}, line {line}: has no path")
    # A file's name has no backslash on Windows, where these come from; elsewhere one that has is taken as it is.
    if "\\" in row.path and not (path.parent / row.path).exists():
        row = row._replace(path=row.path.replace("\\", "/"))
    if not roots.contains(path.parent / row.path):
        raise InputError(
            f"{path}, line {line}: {row.path} leaves the folder of the CSV file; copy the images in, or name a folder "
            "that paths may lead into: --follow-links ROOT"
        )
    split = _PARTS.get(row.split.casefold(), row.split)
    if split not in ("", *_PARTS.values()):
        raise InputError(f"{path}, line {line}: split is {row.split!r}; it is train, test or validation")
    return row._replace(label=nfc(row.label), split=split)
