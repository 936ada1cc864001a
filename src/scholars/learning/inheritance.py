"""Unite the lineages of scholars that a new one learns from, and find where the knowledge of each is in the union.

`learn`, `merge`, `forget`, `rename` and `distil` all learn from the dreams of some scholars. They differ in which
scholars these are, in the classes that are taken over from them, and in whether there is a new task.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Self

import torch
from torch import Tensor

from scholars.generators import Mixture
from scholars.learning.dreamer import Dreamer
from scholars.privacy.account import add_accounts
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings
from scholars.storage.privacy_account import PrivacyAccount
from scholars.storage.records import LineageRecord, generations

# From a class name to the one that it has in the new scholar; None: the class is left out.
Rename = Callable[[str], str | None]
# A place in the new lineage, and a class of the record there.
_Spot = tuple[int, str]


@dataclass(frozen=True, eq=False)
class Inheritance:
    """The lineage that a new scholar goes on from, and the scholars whose dreams tell it of that.

    classes: all that it will know, those of a new task included
    heads: the places in the lineage of the last records of these scholars
    """

    classes: tuple[str, ...] = ()
    lineage: tuple[LineageRecord, ...] = ()
    dreamers: tuple[Dreamer, ...] = ()
    heads: tuple[int, ...] = ()

    def on(self, compute: ComputeSettings) -> Self:
        """Return the same, with the scholars on another device."""
        moved = [replace(dreamer, scholar=dreamer.scholar.on(compute)) for dreamer in self.dreamers]
        return replace(self, dreamers=tuple(moved))

    @property
    def conditions(self) -> int:
        """The number of (task, class) pairs of the lineage."""
        return sum(self.class_counts)

    @property
    def class_counts(self) -> list[int]:
        """The number of classes of each task."""
        return [len(record.classes) for record in self.lineage if record.kind == "learn"]

    @property
    def privacy(self) -> PrivacyAccount | None:
        """The account of all private tasks of these scholars together; None without any."""
        return add_accounts(dreamer.scholar.privacy for dreamer in self.dreamers)

    @property
    def shares(self) -> list[float]:
        """The share of each scholar's dreams in all dreams."""
        total = sum(dreamer.share for dreamer in self.dreamers)
        return [dreamer.share / total for dreamer in self.dreamers]

    @property
    def generation(self) -> int:
        """The largest generation of the scholars; 0 of none."""
        depths = generations(self.lineage)
        return max((depths[head] for head in self.heads), default=0)

    @property
    def is_counted(self) -> bool:
        """True if it is known of how many images each task was; not where a class was forgotten without a count."""
        return all(record.train_count for record in self.lineage if record.kind == "learn")

    @property
    def images(self) -> int:
        """The number of images that all tasks together were learned from, as far as it is known."""
        return sum(record.train_count for record in self.lineage)


def inherit(
    scholars: Sequence[Scholar],
    rename: Rename = lambda name: name,
    weights: Sequence[float] | None = None,
    new_classes: Sequence[str] = (),
    sort_classes: bool = False,
) -> Inheritance:
    """Return what a new scholar takes over from these. What several of them share counts once.

    rename: which name each class has then, and which ones are left out
    weights: how much each scholar counts, in times of its number of classes; default: all alike
    new_classes: those of a new task, which come last unless they are known
    sort_classes: by name, as scholars of features have them; else in their order, those of the first scholar first

    Records are the same if they are of one learning, also where some classes of it were forgotten or renamed later. Two
    scholars that learned the same photos of a class apart have equal memories of it, which count once, too.
    """
    union = _Union(scholars, rename)
    for number, index in _oldest_first([scholar.lineage for scholar in scholars]):
        union.add(number, index)
    names = [new for scholar in scholars for name in scholar.classes if (new := rename(name))]
    found = dict.fromkeys([*names, *new_classes])
    classes = tuple(sorted(found) if sort_classes else found)
    numbers = {
        (place, name): number
        for number, (place, name) in enumerate(
            (place, name) for place, record in enumerate(union.records) for name in record.classes
        )
    }
    conditions = []
    for spots, scholar in zip(union.spots, scholars, strict=True):
        pairs = [(index, name) for index, record in enumerate(scholar.lineage) for name in record.classes]
        conditions.append(torch.tensor([numbers[spots[pair]] if pair in spots else -1 for pair in pairs]))
    told_by = torch.bincount(
        torch.cat([torch.empty(0, dtype=torch.int64), *conditions]) + 1, minlength=len(numbers) + 1
    )
    dreamers = []
    for place, (scholar, own) in enumerate(zip(scholars, conditions, strict=True)):
        weight = (own >= 0).double() / told_by[own + 1] * (weights[place] if weights else 1)
        dreamers.append(Dreamer(scholar, _outputs(scholar, rename, classes), own, weight))
    heads = {head for scholar, places in zip(scholars, union.places, strict=True) for head in places[len(places) - 1]}
    return Inheritance(classes, tuple(union.records), tuple(dreamers), tuple(sorted(heads)))


def _outputs(scholar: Scholar, rename: Rename, classes: Sequence[str]) -> Tensor:
    return torch.tensor([classes.index(new) if (new := rename(name)) else -1 for name in scholar.classes])


@dataclass
class _Union:
    """The lineages of scholars while they become one.

    places: for each scholar, where its records are: of one that is gone, its parents, and where equal memories are
    spots: for each scholar, where the (record, class) pairs that stay are
    _tasks: for each scholar, what its tasks are called here
    """

    scholars: Sequence[Scholar]
    rename: Rename
    records: list[LineageRecord] = field(default_factory=list)
    places: list[list[tuple[int, ...]]] = field(init=False)
    spots: list[dict[tuple[int, str], _Spot]] = field(init=False)
    _tasks: list[dict[str, str]] = field(init=False)
    _same: dict[object, tuple[int, int]] = field(default_factory=dict)
    _known: dict[tuple[str, object], tuple[int, _Spot]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.places = [[] for _ in self.scholars]
        self.spots = [{} for _ in self.scholars]
        self._tasks = [{} for _ in self.scholars]

    def add(self, number: int, index: int) -> None:
        """Add a record of a scholar, whose earlier ones are there already."""
        record, places, spots = self.scholars[number].lineage[index], self.places[number], self.spots[number]
        parents = tuple(sorted({place for parent in record.parents for place in places[parent]}))
        # A private record has no digests of its photos, but noise that no other has.
        told = tuple(self._contents(number, index)) if record.private else record.trained
        key = (record.kind, record.name, record.learned_at, record.seed, record.classes, told, parents)
        if key in self._same:
            twin, at = self._same[key]
            places.append(self.places[twin][at])
            if name := self._tasks[twin].get(record.name):
                self._tasks[number][record.name] = name
            spots |= {
                (index, name): self.spots[twin][at, name] for name in record.classes if (at, name) in self.spots[twin]
            }
            return
        self._same[key] = (number, index)
        place, elsewhere = len(self.records), self._known_elsewhere(number, index)
        names = {name: None if name in elsewhere else self.rename(name) for name in record.classes}
        spots |= {(index, name): (place, new) for name, new in names.items() if new}
        spots |= {(index, name): spot for name, spot in elsewhere.items()}
        if self._is_gone(record, names, parents):
            places.append(tuple(sorted({*parents, *(spot[0] for spot in elsewhere.values())})))
            return
        places.append((place,))
        self.records.append(self._rewritten(number, index, names).model_copy(update={"parents": parents}))

    def _known_elsewhere(self, number: int, index: int) -> dict[str, _Spot]:
        """Return where another scholar's equal knowledge is, for each class of a record of which there is some."""
        found: dict[str, _Spot] = {}
        if len(self.scholars) == 1:
            return found
        record = self.scholars[number].lineage[index]
        for name, content in zip(record.classes, self._contents(number, index), strict=True):
            if content and (new := self.rename(name)):
                owner, spot = self._known.setdefault((new, content), (number, (len(self.records), new)))
                if owner != number:
                    found[name] = spot
        return found

    def _contents(self, number: int, index: int) -> Sequence[object]:
        """Return what is equal for equal knowledge, for each class of a record: the digest of its memory.

        Without memories, when it was learned, of how many images; None where that is not known.
        """
        scholar = self.scholars[number]
        record = scholar.lineage[index]
        if isinstance(scholar.generator, Mixture):
            first = sum(len(earlier.classes) for earlier in scholar.lineage[:index])
            return [memory.digest for memory in scholar.generator.memories[first : first + len(record.classes)]]
        counts = record.train_counts or [None] * len(record.classes)
        return [None if count is None else (record.learned_at, record.seed, count) for count in counts]

    def _is_gone(self, record: LineageRecord, names: dict[str, str | None], parents: tuple[int, ...]) -> bool:
        """Return whether nothing is left of a record."""
        if record.kind == "learn":
            return not any(names.values())
        return len(parents) < (2 if record.kind == "merge" else 1)

    def _rewritten(self, number: int, index: int, names: dict[str, str | None]) -> LineageRecord:
        """Return a record with the new names, and without what was measured with classes that are not there now."""
        lineage = self.scholars[number].lineage
        known = {name: self.rename(name) for name in _known_at(lineage, index)}
        record = lineage[index].regrouped(names)
        if None in known.values() or len(set(known.values())) < len(known):
            record = record.unmeasured()
        names_here = self._tasks[number]
        if record.kind == "learn" and record.name not in names_here:
            taken = {other.name for other in self.records}
            candidates = chain([record.name], (f"{record.name}-{again}" for again in count(2)))
            names_here[record.name] = next(each for each in candidates if each not in taken)
        return record.with_other_names(known, names_here)


def _known_at(lineage: Sequence[LineageRecord], index: int) -> set[str]:
    """Return the classes that were known when a record was made."""
    found, waiting = set[str](), [index]
    seen = set(waiting)
    while waiting:
        record = lineage[waiting.pop()]
        found |= set(record.classes)
        waiting += [parent for parent in record.parents if parent not in seen]
        seen |= set(record.parents)
    return found


def _oldest_first(lineages: Sequence[Sequence[LineageRecord]]) -> Iterator[tuple[int, int]]:
    """Yield (lineage, record) by the time of learning; records of one lineage in their order, whatever clocks said.

    Of records of one time that with the most classes comes first: others may have forgotten some of it.
    """
    done = [0] * len(lineages)
    while waiting := [number for number, lineage in enumerate(lineages) if done[number] < len(lineage)]:
        number = min(waiting, key=lambda number: _age(lineages[number][done[number]]))
        yield number, done[number]
        done[number] += 1


def _age(record: LineageRecord) -> tuple[str, int]:
    return record.learned_at, -len(record.classes)
