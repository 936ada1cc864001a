"""Find what still holds a class beside a scholar that has forgotten it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scholars.backbones.feature_cache import features_folder, forget_features
from scholars.errors import InputError
from scholars.learning.generations import kept_folder, kept_generations
from scholars.storage import files, scholar_folder
from scholars.storage.class_folders import class_folder_names
from scholars.tasks.array_cache import ABOUT, resolve_cache_folder


@dataclass(frozen=True)
class Leftover:
    """A folder that still holds a class, why, and a function that removes it."""

    path: Path
    why: str
    remove: Callable[[], None]


def find_leftovers(folder: Path, classes: Sequence[str]) -> Iterator[Leftover]:
    """Yield what still holds one of these classes: kept generations, unfinished work, and caches of images.

    Of a cache is found what was read from a folder that is called like a class.
    """
    for kept in kept_generations(folder):
        place = kept_folder(folder, kept.key)
        # Not checked: also one that cannot be opened, as of an older version, holds what it says.
        known = scholar_folder.read_description(place).get("classes")
        if still := [name for name in classes if isinstance(known, list) and name in known]:
            why = f"generation {kept.key}, knows {', '.join(still)}"
            yield Leftover(place, why, partial(files.remove_folder, place))
    work = scholar_folder.work_folder(folder)
    if work.is_dir():
        yield Leftover(work, "unfinished learning", partial(files.remove_folder, work))
    wanted = {*classes, *class_folder_names(classes)}
    for entry, held in _cached(resolve_cache_folder(), wanted):
        yield Leftover(entry, f"decoded images of {held} in the cache", partial(files.remove_folder, entry))
    for entry, held in _cached(features_folder(), wanted):
        yield Leftover(entry, f"features of {held} in the cache", partial(forget_features, entry.name))


def _cached(parent: Path, wanted: set[str]) -> Iterator[tuple[Path, str]]:
    """Yield the entries of a cache that are of folders with one of these names, and which."""
    for entry in sorted(parent.iterdir()) if parent.is_dir() else ():
        try:
            held = wanted & set(files.read_json(entry / ABOUT).get("folders", ()))
        except InputError:
            continue
        if held:
            yield entry, ", ".join(sorted(held))
