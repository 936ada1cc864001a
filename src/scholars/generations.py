"""The generations that are kept beside a scholar's folder: what is kept once is never replaced.

``FOLDER.gen-2`` holds generation 2. Who goes back to generation 1 and teaches it something else has two generations 2:
the other one becomes ``FOLDER.gen-2-2``, and so on. What follows ``gen-`` is the generation's key.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from scholars import store
from scholars.errors import InputError
from scholars.scholar import Scholar

_KEY = re.compile(r"([1-9][0-9]{0,5})(-[1-9][0-9]{0,5})?", re.ASCII)


@dataclass(frozen=True)
class Kept:
    """A generation that one can go back to.

    key: what it is called
    tasks: names of what it learned, the oldest first
    ancestor: whether the present scholar comes from it
    """

    key: str
    generation: int
    tasks: tuple[str, ...]
    ancestor: bool


def kept_generations(folder: Path) -> list[Kept]:
    """The generations kept beside ``folder``, the oldest first, but for the one that is in it just now.

    Anything else that is called like one is passed over. Raises InputError where ``folder`` is no scholar.
    """
    folder = folder.resolve()
    now = store.describe_scholar(folder)
    found: list[tuple[tuple[int, int], Kept]] = []
    for path in folder.parent.glob(f"{glob.escape(folder.name)}.gen-*"):
        key = path.name.removeprefix(f"{folder.name}.gen-")
        if not (parts := _KEY.fullmatch(key)):
            continue
        try:
            description = store.describe_scholar(path)
        except InputError:
            continue
        past = _past(description)
        if past and not _same(description, now):
            order = int(parts[1]), abs(int(parts[2] or 1))
            ancestor = past == _past(now)[: len(past)]
            found.append((order, Kept(key, len(past), tuple(name for name, _, _ in past), ancestor)))
    return [kept for _, kept in sorted(found, key=lambda one: one[0])]


def place_of(folder: Path, key: str) -> Path:
    """Where the generation of this key is kept. Raises InputError for one that is not; looks at no other path."""
    folder = folder.resolve()
    if key not in [kept.key for kept in kept_generations(folder)]:
        raise InputError(f"no generation {key!r} of {folder.name} is kept")
    return folder.with_name(f"{folder.name}.gen-{key}")


def keep(folder: Path) -> None:
    """Keep the scholar that is in ``folder`` beside it, unless this very one is kept already."""
    folder = folder.resolve()
    now = store.describe_scholar(folder)
    scholar = Scholar.load(folder)
    for number in count(1):
        key = f"{scholar.generation}-{number}" if number > 1 else f"{scholar.generation}"
        place = folder.with_name(f"{folder.name}.gen-{key}")
        if not place.exists():
            store.clear_away(place)
            scholar.save(place)
            return
        try:
            if _same(store.describe_scholar(place), now):
                return
        except InputError:  # something else lies there: it stays as it is
            continue


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two descriptions are of the same weights, learned by the same way."""
    return one.get("sha256") == other.get("sha256") and _past(one) == _past(other)


def _past(description: dict[str, Any]) -> list[tuple[Any, Any, Any]]:
    """What tells a task in a lineage from others: its name, when it was learned, by which seed."""
    records = description.get("lineage")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        return []
    return [(record.get("name"), record.get("learned_at"), record.get("seed")) for record in records]
