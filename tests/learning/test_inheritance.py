"""What a new scholar takes over: any lineages as one, in which nothing is twice and nothing forgotten is left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
import torch
from conftest import TINY
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn

from scholars.generators import Generator, Mixture
from scholars.generators.memories import Memory
from scholars.learning.features import inherited_memories
from scholars.learning.inheritance import Inheritance, Rename, inherit
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.settings.overrides import build
from scholars.solvers import Solver
from scholars.storage.audits import Audit, ClassAudit, TaskAudit
from scholars.storage.records import LineageRecord, ScholarDescription

SETTINGS = build(Settings, TINY, None, where="tests")
Kind = Literal["learn", "merge", "forget", "join", "distil"]


class Blank(Solver):
    """A solver that nobody asks."""

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).float()

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        return features


def record(
    name: str,
    classes: Sequence[str] = (),
    parents: Sequence[int] = (),
    *,
    at: int = 0,
    kind: Kind = "learn",
    **more: Any,
) -> LineageRecord:
    counts = tuple(3 + place for place in range(len(classes)))
    made = LineageRecord(
        kind=kind,
        name=name,
        classes=tuple(classes),
        parents=tuple(parents),
        train_count=sum(counts),
        train_counts=counts,
        test_count=0,
        accuracy=None,
        seed=0,
        learned_at=f"2026-01-01T00:{at // 60:02}:{at % 60:02}+00:00",
        seconds={},
        metrics={},
        settings=SETTINGS,
    )
    return made.model_copy(update=more)


def scholar(*lineage: LineageRecord, generator: Generator | None = None) -> Scholar:
    """A scholar without networks, that knows the classes of a lineage."""
    classes = tuple(dict.fromkeys(name for each in lineage for name in each.classes))
    return Scholar(Blank(), generator, classes, lineage, SETTINGS)


def names(inherited: Inheritance) -> list[str]:
    return [each.name for each in inherited.lineage]


def test_of_one_scholar_everything_stays_as_it_is() -> None:
    one = scholar(record("a", "xy"), record("b", "yz", [0], at=1))
    found = inherit([one])
    assert found.lineage == one.lineage
    assert (found.classes, found.heads, found.generation, found.conditions) == (("x", "y", "z"), (1,), 2, 4)
    assert found.class_counts == [2, 2]
    (dreamer,) = found.dreamers
    assert dreamer.outputs.tolist() == [0, 1, 2]
    assert dreamer.conditions.tolist() == [0, 1, 2, 3]
    assert dreamer.asked is None
    assert found.images == 14


def test_nothing_is_inherited_of_nobody() -> None:
    found = inherit([], new_classes=("b", "a"))
    assert (found.classes, found.lineage, found.dreamers, found.heads, found.generation) == (("b", "a"), (), (), (), 0)
    assert inherit([], new_classes=("b", "a"), sort_classes=True).classes == ("a", "b")


def test_pasts_are_one_list_the_oldest_first() -> None:
    left = scholar(record("a", "xy", at=5), record("c", "z", [0], at=20))
    right = scholar(record("b", "yw", at=10))
    found = inherit([left, right])
    assert names(found) == ["a", "b", "c"]
    assert [each.parents for each in found.lineage] == [(), (), (0,)]
    assert (found.heads, found.generation) == ((1, 2), 2)
    assert found.classes == ("x", "y", "z", "w")
    # Conditions of the whole: x y of a, y w of b, z of c.
    assert [dreamer.conditions.tolist() for dreamer in found.dreamers] == [[0, 1, 4], [2, 3]]
    assert [dreamer.outputs.tolist() for dreamer in found.dreamers] == [[0, 1, 2], [1, 3]]
    assert found.shares == [0.6, 0.4]


def test_weights_multiply_the_number_of_classes() -> None:
    left, right = scholar(record("a", "xyz")), scholar(record("b", "w", at=1))
    assert inherit([left, right]).shares == [0.75, 0.25]
    assert inherit([left, right], weights=(1, 3)).shares == [0.5, 0.5]


def test_a_shared_ancestor_counts_once() -> None:
    past = record("a", "xy")
    left, right = scholar(past, record("b", "z", [0], at=1)), scholar(past, record("c", "w", [0], at=2))
    found = inherit([left, right])
    assert names(found) == ["a", "b", "c"]
    assert [each.parents for each in found.lineage] == [(), (0,), (0,)]
    assert found.heads == (1, 2)
    # Both tell of x and y, each half as often.
    assert [dreamer.weights.tolist() for dreamer in found.dreamers] == [[0.5, 0.5, 1], [0.5, 0.5, 1]]
    assert [dreamer.conditions.tolist() for dreamer in found.dreamers] == [[0, 1, 2], [0, 1, 3]]


def test_a_scholar_and_its_descendant() -> None:
    past = scholar(record("a", "xy"))
    now = scholar(*past.lineage, record("b", "z", [0], at=1))
    for both in ([past, now], [now, past]):
        found = inherit(both)
        assert found.lineage == now.lineage
        assert found.heads == (0, 1)
        assert found.generation == 2


def test_tasks_of_one_name_that_are_others() -> None:
    """A scholar that learned a task twice has one name for it still, and audits use it."""

    def audited(at: int, parents: Sequence[int], tasks: str) -> LineageRecord:
        audit = Audit(
            dreams=9,
            classes=(),
            tasks=tuple(
                TaskAudit(name=name, accuracy=1, recall=1, shares={}, copies=0, nearest_dream=0, nearest_real=0)
                for name in tasks.split()
            ),
            frechet_distance=None,
            precision=None,
            warnings=(),
        )
        return record("photos", "x", parents, at=at, audit=audit)

    left = scholar(record("photos", "x", at=0), record("photos-2", "y", [0], at=1))
    right = scholar(
        record("photos", "x", at=10), audited(11, [0], "photos"), record("more", "x", [1], at=12, audit=None)
    )
    found = inherit([left, right])
    assert names(found) == ["photos", "photos-2", "photos-3", "photos-3", "more"]
    audit = found.lineage[3].audit
    assert audit
    assert [each.name for each in audit.tasks] == ["photos-3"]
    # Once more with what was renamed: it is known again.
    merged = scholar(*found.lineage, record("both", kind="merge", parents=found.heads, at=20))
    assert names(inherit([merged, left])) == [*names(found), "both"]


def gone(*names: str) -> Rename:
    return lambda name: None if name in names else name


def test_of_a_task_that_is_forgotten_as_a_whole_the_record_goes_and_its_children_have_its_parents() -> None:
    past = (record("a", "x"), record("b", "y", at=1), record("both", kind="merge", parents=[0, 1], at=2))
    one = scholar(*past, record("c", "zw", [2], at=3), record("d", "v", [3], at=4))
    found = inherit([one], gone("z", "w"))
    assert names(found) == ["a", "b", "both", "d"]
    assert [each.parents for each in found.lineage] == [(), (), (0, 1), (2,)]
    assert (found.heads, found.generation) == ((3,), 3)
    assert found.dreamers[0].conditions.tolist() == [0, 1, -1, -1, 2]
    assert found.dreamers[0].outputs.tolist() == [0, 1, -1, -1, 2]
    assert found.dreamers[0].asked == [0, 1, 4]
    # What merged one only with nothing is nothing.
    found = inherit([one], gone("x"))
    assert names(found) == ["b", "c", "d"]
    assert [each.parents for each in found.lineage] == [(), (0,), (1,)]
    # The last one: its parents are the heads.
    found = inherit([one], gone("v"))
    assert found.heads == (3,)
    assert names(found) == ["a", "b", "both", "c"]


def test_what_was_measured_with_a_forgotten_class_goes_and_the_rest_stays() -> None:
    audit = Audit(
        dreams=9,
        classes=(ClassAudit(name="x", share=1, confidence=1, agreement=1),),
        tasks=(),
        frechet_distance=None,
        precision=None,
        warnings=("dying out: 'x' (0.0 %) of the dreams",),
    )
    measured: dict[str, Any] = {"audit": audit, "metrics": {"solver": {"loss": 0.25}}, "dreamt": 77}
    one = scholar(
        record("a", "x", **measured), record("b", "yz", [0], at=1, **measured), record("c", "w", [1], at=2, **measured)
    )
    one = replace(one, lineage=tuple(each.model_copy(update={"accuracy": 0.75}) for each in one.lineage))
    first, second, third = inherit([one], gone("z")).lineage
    assert first == one.lineage[0]
    assert second.classes == ("y",)
    assert (second.audit, second.metrics, second.accuracy, second.train_count, second.dreamt) == (None, {}, None, 3, 0)
    assert (third.audit, third.metrics, third.dreamt) == (None, {}, 0)
    # Another name is no other class.
    renamed = inherit([one], lambda name: "new" if name == "x" else name).lineage
    assert [each.accuracy for each in renamed] == [0.75] * 3
    assert renamed[2].metrics == measured["metrics"]
    assert "'x'" not in str(renamed)
    assert renamed[2].audit
    assert renamed[2].audit.warnings == ("dying out: 'new' (0.0 %) of the dreams",)
    # As one class they are.
    joined = inherit([one], lambda name: "y" if name == "z" else name).lineage
    assert [each.audit is None for each in joined] == [False, True, True]
    assert joined[1].classes == ("y",)
    assert (joined[1].train_count, joined[1].train_counts) == (7, (7,))


def memory(seed: int) -> Memory:
    generator = torch.Generator().manual_seed(seed)
    return Memory(
        torch.ones(1),
        torch.randn(4, generator=generator).half(),
        torch.zeros(1, 2).half(),
        torch.ones(2).half(),
        torch.tensor([[127, 0, 0, 0], [0, 127, 0, 0]], dtype=torch.int8),
        torch.ones(4).half(),
        torch.tensor(5),
    )


def test_equal_memories_that_were_learned_apart_count_once() -> None:
    left = scholar(record("a", "xy"), generator=Mixture([memory(1), memory(2)]))
    right = scholar(
        record("b", "zx", at=1), record("c", "y", [0], at=2), generator=Mixture([memory(3), memory(1), memory(2)])
    )
    found = inherit([left, right])
    assert names(found) == ["a", "b"]
    assert [each.classes for each in found.lineage] == [("x", "y"), ("z",)]
    assert found.lineage[1].train_counts == (3,)
    # Of c nothing is left that a does not know: what follows has a and b before it.
    assert found.heads == (0, 1)
    assert [dreamer.conditions.tolist() for dreamer in found.dreamers] == [[0, 1], [2, 0, 1]]
    assert [dreamer.weights.tolist() for dreamer in found.dreamers] == [[0.5, 0.5], [1, 0.5, 0.5]]
    # Equal photos of another class are another memory; and what one scholar learned twice it knows twice.
    other = scholar(record("b", "z", at=1), generator=Mixture([memory(1)]))
    assert inherit([left, other]).conditions == 3
    twice = scholar(record("a", "x"), record("a", "x", [0], at=1), generator=Mixture([memory(1), memory(1)]))
    assert inherit([twice]).conditions == 2


@pytest.mark.parametrize("memories", [True, False])
def test_what_one_has_forgotten_of_a_task_that_another_knows_is_known(memories: bool) -> None:
    """In whichever order: it is one task still."""
    whole = scholar(record("a", "xyz"), record("b", "w", [0], at=1))
    if memories:
        whole = replace(whole, generator=Mixture([memory(number) for number in range(4)]))
    left = inherit([whole], gone("y"))
    last = record("something forgotten", kind="forget", parents=left.heads, at=2)
    less = scholar(*left.lineage, last, generator=Mixture(inherited_memories(left)) if memories else None)
    for both in ([less, whole], [whole, less]):
        found = inherit(both)
        assert set(found.classes) == set("wxyz")
        assert [(each.name, each.classes, each.parents) for each in found.lineage] == [
            ("a", ("x", "y", "z"), ()),
            ("b", ("w",), (0,)),
            ("something forgotten", (), (1,)),
        ]
        assert found.heads == (1, 2)


# Lineages of any history.


@dataclass
class World:
    """Scholars that come about by learning, merging, forgetting and renaming; a check at each step.

    memories: whether they keep memories
    trail: for each scholar, names that it must not know any more
    """

    memories: bool = False
    clock: int = 0
    known: list[Scholar] = field(default_factory=list)
    trail: list[set[str]] = field(default_factory=list)

    def add(
        self, inherited: Inheritance, last: LineageRecord | None, gone: set[str], new: Sequence[Memory] = ()
    ) -> None:
        generator = Mixture([*inherited_memories(inherited), *new]) if self.memories else None
        lineage = (*inherited.lineage, *([last] if last else []))
        made = Scholar(Blank(), generator, inherited.classes, lineage, SETTINGS)
        check(made)
        self.clock += 1
        self.trail.append(gone)
        self.known.append(made)

    def learn(self, place: int | None, task: str, classes: Sequence[str], photos: int) -> None:
        previous = [] if place is None else [self.known[place]]
        found = inherit(previous, new_classes=classes)
        self.check_told(found, previous, lambda name: name)
        gone = set() if place is None else self.trail[place] - set(classes)
        new = [memory(photos * 10 + len(name)) for name in classes] if self.memories else []
        self.add(found, record(task, classes, found.heads, at=self.clock), gone, new)

    def merge(self, places: Sequence[int]) -> None:
        chosen = [self.known[place] for place in places]
        found = inherit(chosen)
        self.check_told(found, chosen, lambda name: name)
        assert set(found.classes) == {name for each in chosen for name in each.classes}
        for each in (found, inherit(chosen[::-1])):
            if not self.memories:
                assert sorted(learned(each.lineage)) == sorted(
                    {one for other in chosen for one in learned(other.lineage)}
                )
        gone = set.intersection(*(self.trail[place] for place in places))
        self.add(found, record("scholars", (), found.heads, kind="merge", at=self.clock), gone)

    def forget(self, place: int, classes: Sequence[str]) -> None:
        before = self.known[place]
        found = inherit([before], gone(*classes))
        self.check_told(found, [before], gone(*classes))
        last = record("something forgotten", (), found.heads, kind="forget", at=self.clock)
        self.add(found, last, self.trail[place] | set(classes))

    def rename(self, place: int, old: str, new: str) -> None:
        before = self.known[place]

        def rename(name: str) -> str:
            return new if name == old else name

        found = inherit([before], rename)
        self.check_told(found, [before], rename)
        last = record("two classes as one", (), found.heads, kind="join", at=self.clock)
        self.add(found, last if new in before.classes else None, (self.trail[place] | {old}) - {new})

    def check_told(self, found: Inheritance, before: Sequence[Scholar], rename: Rename) -> None:
        """Every dreamer's outputs and conditions are of the right class, and each condition is told of as often."""
        pairs = [(place, name) for place, each in enumerate(found.lineage) for name in each.classes]
        told = torch.zeros(len(pairs), dtype=torch.float64)
        for dreamer, one in zip(found.dreamers, before, strict=True):
            for output, name in zip(dreamer.outputs.tolist(), one.classes, strict=True):
                assert rename(name) == (found.classes[output] if output >= 0 else None)
            for condition, (task, output) in zip(dreamer.conditions.tolist(), one.conditions, strict=True):
                assert rename(one.classes[output]) == (pairs[condition][1] if condition >= 0 else None)
                if condition >= 0 and not self.memories:
                    assert found.lineage[pairs[condition][0]].learned_at == one.lineage[task].learned_at
            kept = dreamer.conditions >= 0
            told.index_add_(0, dreamer.conditions[kept], dreamer.weights[kept])
        assert torch.allclose(told, torch.ones_like(told))
        assert sum(found.shares) == pytest.approx(1) or not before
        assert ancestors(found) == set(range(len(found.lineage)))
        if self.memories and len(before) > 1:
            kept_memories = [memory.digest for memory in inherited_memories(found)]
            united = {pair for one in before for pair in remembered(one)}
            assert {(name, digest) for (_, name), digest in zip(pairs, kept_memories, strict=True)} == united


def learned(lineage: Sequence[LineageRecord]) -> list[tuple[str, str, int]]:
    """When each class of each task was learned, and of how many images."""
    return [
        (each.learned_at, name, count)
        for each in lineage
        for name, count in zip(each.classes, each.train_counts, strict=True)
    ]


def remembered(one: Scholar) -> list[tuple[str, str]]:
    """The class and the digest of each memory."""
    assert isinstance(one.generator, Mixture)
    digests = [memory.digest for memory in one.generator.memories]
    return [(one.classes[output], digest) for (_, output), digest in zip(one.conditions, digests, strict=True)]


def ancestors(found: Inheritance) -> set[int]:
    """The heads, and all that they came of."""
    seen: set[int] = set()
    waiting = [*found.heads]
    while waiting:
        place = waiting.pop()
        seen.add(place)
        waiting += found.lineage[place].parents
    return seen


def check(one: Scholar) -> None:
    """A scholar of this lineage can be saved and opened."""
    ScholarDescription.parse(
        {
            "classes": list(one.classes),
            "image": SETTINGS.image.model_dump(mode="json"),
            "backbone": None,
            "generation": one.generation,
            "lineage": [json.loads(each.model_dump_json()) for each in one.lineage],
        },
        "here",
    )
    assert {name for each in one.lineage for name in each.classes} == set(one.classes)
    for each in one.lineage:
        if each.kind == "merge" or each.kind != "learn":
            assert len(each.parents) >= 1


NAMES = st.sampled_from(["al", "bea", "cora", "dirke", "emilia"])
TASKS = st.sampled_from(["photos", "photos-2", "more"])


CLASSES = st.lists(NAMES, min_size=1, max_size=3, unique=True)


@examples(max_examples=120)
@given(data=st.data(), memories=st.booleans())
def test_lineages_of_any_history(data: st.DataObject, memories: bool) -> None:
    """Parents come before children, conditions are of their classes, ancestors are there once, nothing forgotten is."""
    world = World(memories)
    world.learn(None, "photos", ["al", "bea"], 0)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(world.known) - 1))
        one = world.known[place]
        match data.draw(st.sampled_from(["learn", "begin", "merge", "forget", "rename"])):
            case "learn":
                world.learn(place, data.draw(TASKS), data.draw(CLASSES), data.draw(st.integers(0, 2)))
            case "begin":
                world.learn(None, data.draw(TASKS), data.draw(CLASSES), data.draw(st.integers(0, 2)))
            case "merge" if len(world.known) > 1:
                places = st.integers(0, len(world.known) - 1)
                world.merge(data.draw(st.lists(places, min_size=2, max_size=3, unique=True)))
            case "forget" if len(one.classes) > 1:
                some = st.lists(st.sampled_from(one.classes), min_size=1, max_size=len(one.classes) - 1, unique=True)
                world.forget(place, data.draw(some))
            case "rename":
                old, new = data.draw(st.sampled_from(one.classes)), data.draw(NAMES)
                if new != old and set(one.classes) != {old, new}:
                    world.rename(place, old, new)
            case _:
                pass
    for one, names_gone in zip(world.known, world.trail, strict=True):
        written = " ".join(each.model_dump_json() for each in one.lineage)
        for name in names_gone - set(one.classes):
            assert f'"{name}"' not in written


def test_a_module_is_no_part_of_an_inheritance() -> None:
    """Moving scholars to another device leaves those of before where they are."""
    one = scholar(record("a", "xy"))
    found = inherit([one])
    assert isinstance(found.dreamers[0].scholar.solver, nn.Module)
    assert found.on(SETTINGS.compute).dreamers[0].scholar is one
