"""Earlier generations, kept beside a scholar's folder and never overwritten.

``FOLDER.gen-2`` holds generation 2. Going back to generation 1 and teaching it something else makes a second generation
2, which is kept as ``FOLDER.gen-2-2``, and so on. What follows ``gen-`` is the generation's key.
"""

import glob
import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from scholars.errors import InputError
from scholars.scholar import Scholar
from scholars.storage import files, scholar_folder

_KEY = re.compile(r"([1-9][0-9]{0,5})(-[1-9][0-9]{0,5})?", re.ASCII)


@dataclass(frozen=True)
class KeptGeneration:
    """A generation that can be restored.

    key: what follows ``gen-`` in its folder's name
    tasks: names of the tasks that it learned, the oldest first
    ancestor: whether the present scholar descends from it
    """

    key: str
    generation: int
    tasks: tuple[str, ...]
    ancestor: bool


def kept_generations(folder: Path) -> list[KeptGeneration]:
    """Return the generations kept beside ``folder``, the oldest first, without the one that is in it now.

    Folders that are named like one and hold no scholar are ignored. Raises InputError where ``folder`` is no scholar.
    """
    folder = folder.resolve()
    now = scholar_folder.read_description(folder)
    found: list[tuple[tuple[int, int], KeptGeneration]] = []
    for path in folder.parent.glob(f"{glob.escape(folder.name)}.gen-*"):
        key = path.name.removeprefix(f"{folder.name}.gen-")
        if not (parts := _KEY.fullmatch(key)):
            continue
        try:
            description = scholar_folder.read_description(path)
        except InputError:
            continue
        past = _lineage_key(description)
        if past and not _same_scholar(description, now):
            order = int(parts[1]), abs(int(parts[2] or 1))
            ancestor = past == _lineage_key(now)[: len(past)]
            found.append((order, KeptGeneration(key, _generation(description), _tasks(description), ancestor)))
    return [kept for _, kept in sorted(found, key=lambda one: one[0])]


def kept_folder(folder: Path, key: str) -> Path:
    """Return the folder of a kept generation. Raises InputError for a key of none; looks at no other path."""
    folder = folder.resolve()
    if key not in [kept.key for kept in kept_generations(folder)]:
        raise InputError(f"no generation {key!r} of {folder.name} is kept")
    return folder.with_name(f"{folder.name}.gen-{key}")


def keep_generation(folder: Path) -> None:
    """Copy the scholar in ``folder`` beside it, unless this very one is kept already."""
    folder = folder.resolve()
    now = scholar_folder.read_description(folder)
    scholar = Scholar.load(folder)
    for number in count(1):
        key = f"{scholar.generation}-{number}" if number > 1 else f"{scholar.generation}"
        place = folder.with_name(f"{folder.name}.gen-{key}")
        if not place.exists():
            files.remove_stale_temps(place)
            scholar.save(place)
            return
        try:
            if _same_scholar(scholar_folder.read_description(place), now):
                return
        except InputError:  # something else has this name: it stays
            continue


def _same_scholar(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two descriptions are of equal weights with equal lineages and names of classes."""
    same = all(one.get(key) == other.get(key) for key in ("sha256", "classes"))
    return same and _lineage_key(one) == _lineage_key(other)


def _generation(description: dict[str, Any]) -> int:
    generation = description.get("generation")
    return generation if isinstance(generation, int) else 0


def _tasks(description: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the tasks that were learned; what was done without any is none."""
    return tuple(str(record.get("name")) for record in description["lineage"] if record.get("kind", "learn") == "learn")


def _lineage_key(description: dict[str, Any]) -> list[tuple[Any, Any, Any]]:
    """Return what identifies each task of a lineage: its name, when it was learned, its seed."""
    records = description.get("lineage")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        return []
    return [(record.get("name"), record.get("learned_at"), record.get("seed")) for record in records]
