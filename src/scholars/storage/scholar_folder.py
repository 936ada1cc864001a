"""A scholar's folder: ``scholar.json`` and one safetensors file per part, written and replaced atomically."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scholars.errors import InputError
from scholars.storage.files import (
    atomic_folder,
    link_or_copy,
    read_json,
    read_tensors,
    retired_folder,
    write_json,
    write_tensors,
)
from scholars.storage.records import ScholarDescription

FORMAT = 2
DESCRIPTION = "scholar.json"
SUFFIX = ".safetensors"


def write_scholar(
    folder: Path,
    description: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, Tensor]],
    linked: Mapping[str, Path | None] | None = None,
) -> None:
    """Write a scholar's folder: ``scholar.json`` and one safetensors file per part.

    linked: by part, a file that holds these very weights: it is linked to, or copied to another file system

    A scholar that is there already is replaced, and stays whole until it is. Raises InputError where there is anything
    else.
    """
    if is_occupied(folder) and not (folder / DESCRIPTION).is_file() and not retired_folder(folder).is_dir():
        raise InputError(f"{folder} is there and is not a scholar: it is left as it is; choose another place")
    with atomic_folder(folder) as fresh:
        for part, tensors in weights.items():
            file = (linked or {}).get(part)
            if file is None or not _linked(file, fresh / f"{part}{SUFFIX}", tensors):
                write_tensors(fresh / f"{part}{SUFFIX}", tensors)
        files = {f"{part}{SUFFIX}": _digest(fresh / f"{part}{SUFFIX}") for part in weights}
        write_json(fresh / DESCRIPTION, {"format": FORMAT, **description, "sha256": files})


def _linked(file: Path, place: Path, tensors: Mapping[str, Tensor]) -> bool:
    """Make ``place`` a link to a file that holds these tensors, or a copy of it; return False if there is none."""
    if not link_or_copy(file, place):
        return False
    try:
        held = read_tensors(place)[0]
    except InputError:
        held = {}
    if held.keys() == tensors.keys() and all(torch.equal(held[name], tensors[name].cpu()) for name in tensors):
        return True
    place.unlink()
    return False


def is_occupied(folder: Path) -> bool:
    """Return whether there is more than an empty folder, or a scholar whose replacement was interrupted."""
    if not folder.exists():
        return retired_folder(folder).is_dir()
    return not folder.is_dir() or any(folder.iterdir())


def work_folder(folder: Path) -> Path:
    """Return where unfinished learning of the scholar in ``folder`` is kept."""
    place = folder.resolve()
    return place.with_name(f".{place.name}.learning")


def read_description(folder: Path) -> dict[str, Any]:
    """Read ``scholar.json``, unchecked, without the weights. Raises InputError."""
    if not (folder / DESCRIPTION).is_file():
        raise InputError(f"{folder} is not a scholar: it has no {DESCRIPTION}; {_hint(folder)}")
    return read_json(folder / DESCRIPTION)


def read_known(folder: Path) -> ScholarDescription:
    """Read a scholar's description alone, checked. Raises InputError where it is missing, damaged or newer."""
    place = _place(folder)
    description = read_description(place)
    _check_format(place, description)
    return ScholarDescription.parse(description, f"{folder}/{DESCRIPTION}")


def read_scholar(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Read a scholar's description, and its weights by part. Raises InputError if anything is missing or altered."""
    while True:
        place = _place(folder)
        description = read_description(place)
        try:
            return description, _read_weights(place, description)
        except InputError:
            # Unless another process replaced it by its next generation while it was read.
            if read_description(place) == description:
                raise


def _place(folder: Path) -> Path:
    """Return where the scholar is: beside its folder, for a moment, while it is replaced by its next generation."""
    retired = retired_folder(folder)
    return retired if not folder.exists() and retired.is_dir() else folder


def _check_format(folder: Path, description: Mapping[str, Any]) -> None:
    """Raise InputError for a description of another version."""
    version = description.get("format")
    if version != FORMAT:
        older = isinstance(version, int) and version < FORMAT
        advice = "it is of an older version: learn its tasks again" if older else "update scholars"
        raise InputError(f"{folder} has format {version!r}; this version of scholars reads format {FORMAT}: {advice}")


def _read_weights(folder: Path, description: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    _check_format(folder, description)
    files = description.get("sha256")
    if not isinstance(files, dict) or not files:
        raise InputError(f"{folder / DESCRIPTION} names no weight files")
    weights: dict[str, dict[str, Tensor]] = {}
    for name, digest in files.items():
        path = folder / name
        if Path(name).name != name or not name.endswith(SUFFIX):
            raise InputError(f"{folder / DESCRIPTION} names {name!r}, which is not a weight file of this folder")
        if not path.is_file():
            raise InputError(f"{folder}: {name} is missing")
        if path.is_symlink():
            raise InputError(f"{path} is a link: copy the scholar's folder with its files, not with links to them")
        if _digest(path) != digest:
            raise InputError(f"{path} was altered or damaged: its SHA-256 is not the one in {DESCRIPTION}")
        weights[name.removesuffix(SUFFIX)] = read_tensors(path)[0]
    return weights


def _hint(folder: Path) -> str:
    """Return where there is a scholar instead, or how to make one."""
    inside = sorted(path.parent.name for path in (folder / "scholars").glob(f"*/{DESCRIPTION}"))
    if work_folder(folder).is_dir():
        return "its first task is being learned; if that was interrupted, repeat the command to go on"
    if inside:
        return f"it holds a run, whose scholars are in {folder / 'scholars'}: {', '.join(inside)}"
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        return "give the folder of a scholar"
    return f"`scholars learn {folder} SOURCE` makes one"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
