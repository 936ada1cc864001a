"""Merge, forget, rename and distil scholars of pixels, in memory; see `test_algebra_of_features` for exactness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import same_weights, tiny_with, with_changes
from even_handed import even_handed

from scholars.compute.device import Fabric
from scholars.errors import InputError, Interrupted
from scholars.evaluation.accuracy import evaluate
from scholars.generators import Generator
from scholars.generators.base import Teacher
from scholars.inference.describe import describe, lineage_tree
from scholars.learning.algebra import distil, forget, merge, rename
from scholars.learning.algorithm import learn
from scholars.learning.audit import audit
from scholars.learning.dreams import FreshDreams
from scholars.learning.inheritance import inherit
from scholars.report.scholar_page import write_scholar_page
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.solvers import Solver
from scholars.tasks.task import Task
from scholars.training.loop import Session, Trainee
from scholars.training.meter import Tick

ALL = tuple("0123456789")


@pytest.fixture(scope="module")
def five(one: Scholar) -> Scholar:
    """A scholar that learned `low`, and dreams of all of it."""
    return even_handed(one)


@pytest.fixture(scope="module")
def ten(two: Scholar) -> Scholar:
    """One that learned `high` then."""
    return even_handed(two)


@pytest.fixture(scope="module")
def alone(high: Task, tiny: Settings) -> Scholar:
    """A scholar that learned `high` alone."""
    return learn(high, settings=tiny)


@pytest.fixture(scope="module")
def other(alone: Scholar) -> Scholar:
    """The same, which dreams of all of it."""
    return even_handed(alone)


@pytest.fixture(scope="module")
def both(five: Scholar, other: Scholar, hasty: Settings) -> Scholar:
    """One that knows what `one` and `other` do."""
    return merge([five, other], settings=hasty)


@pytest.fixture(scope="module")
def less(ten: Scholar, hasty: Settings) -> Scholar:
    """What is left of `two` without a class of each task."""
    return forget(ten, ["3", "7"], settings=hasty)


def kinds(scholar: Scholar) -> list[tuple[str, tuple[int, ...]]]:
    return [(record.kind, record.parents) for record in scholar.lineage]


def test_a_merged_scholar_knows_all_classes_and_has_both_pasts(five: Scholar, other: Scholar, both: Scholar) -> None:
    assert both.classes == ALL
    assert kinds(both) == [("learn", ()), ("learn", ()), ("merge", (0, 1))]
    assert both.generation == 2
    assert [record.name for record in both.tasks] == ["digits", "digits-2"]
    assert both.tasks[0].classes == five.classes
    last = both.lineage[-1]
    assert (last.classes, last.train_count, last.accuracy, last.test_count) == ((), 0, None, 0)
    assert last.dreamt == 100
    assert both.predict_proba(torch.zeros(2, 1, 16, 16, dtype=torch.uint8)).shape == (2, 10)
    assert len(both.dream(12)[0]) == 12


def test_a_merged_scholar_answers_for_both(one: Scholar, alone: Scholar, low: Task, high: Task) -> None:
    """Of ten digits it tells more than half, and either scholar no more than its own."""
    settings = with_changes(one.settings, solver__steps=250, solver__width=16, generator__steps=2, ood__dreams=0)
    teachers = [replace(each, generator=_Photos(task)) for each, task in ((one, low), (alone, high))]
    merged = merge(teachers, settings=settings)
    for task in (low, high):
        assert evaluate(merged, task).accuracy > 0.5


class _Photos(Generator):
    """In place of a generator, which takes minutes to train: its dreams are photos of the class asked for."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.groups = [
            task.resized(1, 16, "crop").train.tensor[task.train.label_tensor == label]
            for label in range(len(task.classes))
        ]

    def sample(self, conditions: torch.Tensor) -> torch.Tensor:
        found = [self.groups[c][torch.randint(len(self.groups[c]), ())] for c in conditions.tolist()]
        return torch.stack(found).float() / 127.5 - 1

    def trainee(self, fabric: Fabric, teacher: Teacher) -> Trainee:
        raise TypeError


def test_equal_arguments_make_equal_scholars(five: Scholar, other: Scholar, both: Scholar, hasty: Settings) -> None:
    assert same_weights(merge([five, other], settings=hasty), both)
    assert not same_weights(merge([five, other], settings=hasty, seed=1), both)
    assert not same_weights(merge([five, other], settings=hasty, weights=[1, 3]), both)


def test_settings_are_those_of_the_first_scholar(other: Scholar, five: Scholar, hasty: Settings, high: Task) -> None:
    """Whatever the other one looks like: another generator, another network, larger images in colour."""
    shape = {"image__size": 20, "image__channels": 3, "solver__width": 4, "generator__width": 4}
    strange = learn(high, settings=tiny_with(hasty, "vae", **shape, solver__steps=4, generator__steps=3))
    first = replace(five, settings=hasty)
    merged = merge([first, strange])
    assert merged.settings == hasty
    assert merged.dream(2)[0].shape == (2, 1, 16, 16)
    turned = merge([strange, first], settings=with_changes(strange.settings, replay__bank=100))
    assert turned.dream(2)[0].shape == (2, 3, 20, 20)
    assert turned.settings.generator.kind == "vae"
    assert turned.classes == ("5", "6", "7", "8", "9", "0", "1", "2", "3", "4")


def test_merging_a_scholar_with_its_own_descendant(five: Scholar, ten: Scholar, hasty: Settings) -> None:
    merged = merge([five, ten], settings=hasty)
    assert kinds(merged) == [("learn", ()), ("learn", (0,)), ("merge", (0, 1))]
    assert merged.generation == 3
    assert [record.name for record in merged.tasks] == ["digits", "digits"]
    assert len(merged.conditions) == 10


def test_lineages_with_merges_and_forgetting_are_merged(
    both: Scholar, less: Scholar, ten: Scholar, hasty: Settings
) -> None:
    merged = merge([both, less], settings=hasty)
    assert sorted(merged.classes) == list(ALL)
    assert [record.kind for record in merged.lineage].count("merge") == 2
    assert [record.kind for record in merged.lineage].count("forget") == 1
    assert merged.generation == 1 + max(both.generation, less.generation)
    again = merge([merged, ten], settings=hasty)
    assert again.generation == merged.generation + 1
    assert len({record.learned_at for record in again.tasks}) <= 3
    assert len(forget(even_handed(again), ["0", "5"], settings=hasty).classes) == 8


def test_what_is_forgotten_leaves_no_trace(ten: Scholar, less: Scholar) -> None:
    assert less.classes == ("0", "1", "2", "4", "5", "6", "8", "9")
    assert kinds(less) == [("learn", ()), ("learn", (0,)), ("forget", (1,))]
    assert less.generation == 3
    assert len(less.conditions) == 8
    first, second, last = less.lineage
    assert first.classes == ("0", "1", "2", "4")
    assert (first.audit, first.metrics, first.accuracy, second.accuracy) == (None, {}, None, None)
    assert first.train_counts == ten.lineage[0].train_counts[:3] + ten.lineage[0].train_counts[4:]
    assert first.train_count == sum(first.train_counts)
    assert first.test_count == sum(first.test_counts)
    assert last.name == "something forgotten"
    assert less.predict_proba(torch.zeros(1, 1, 16, 16, dtype=torch.uint8)).shape == (1, 8)


def test_of_a_task_that_is_forgotten_as_a_whole_nothing_is_left(ten: Scholar, hasty: Settings) -> None:
    left = forget(replace(ten, solver=_Sees(7, 0, 10)), ["0", "1", "2", "3", "4"], settings=hasty)
    assert left.classes == ("5", "6", "7", "8", "9")
    assert kinds(left) == [("learn", ()), ("forget", (0,))]
    assert left.lineage[0].learned_at == ten.lineage[1].learned_at
    assert left.generation == 2


def test_the_seed_is_that_of_the_last_learning(ten: Scholar, less: Scholar, hasty: Settings) -> None:
    assert same_weights(forget(ten, ["7", "3"], settings=hasty, seed=0), less)
    assert not same_weights(forget(ten, ["3", "7"], settings=hasty, seed=5), less)


@pytest.mark.parametrize(
    "changes",
    [
        {"replay__dreams": "fresh"},
        {"replay__dreams": "fresh", "replay__labels": "hard"},
        {"replay__filter": "confidence", "replay__confidence": 0.01},
        {"replay__filter": "agreement"},
        {"replay__balance": "classes"},
        {"replay__temperature": 2.0},
        {"generator__conditional": False},
        {"generator__conditional": False, "replay__dreams": "fresh"},
    ],
    ids=str,
)
def test_each_kind_of_replay(low: Task, other: Scholar, hasty: Settings, changes: dict[str, Any]) -> None:
    settings = with_changes(hasty, **changes)
    first = even_handed(learn(low, settings=settings))
    left = forget(first, ["4"], settings=settings)
    assert left.classes == ("0", "1", "2", "3")
    assert left.predict_proba(torch.zeros(1, 1, 16, 16, dtype=torch.uint8)).shape == (1, 4)
    if "replay__dreams" in changes:
        assert left.lineage[-1].dreamt > 0
    if settings.generator.conditional or "replay__filter" not in changes:
        assert merge([first, other], settings=settings).classes == ALL


def test_a_filter_that_needs_a_conditional_generator_is_refused(low: Task, hasty: Settings) -> None:
    first = learn(low, settings=with_changes(hasty, generator__conditional=False))
    with pytest.raises(InputError, match=r"replay\.filter=agreement needs dreams that were asked for by class"):
        forget(first, ["4"], settings=with_changes(first.settings, replay__filter="agreement"))


class _Sees(Solver):
    """In place of a solver: sees this class in a share of all images."""

    def __init__(self, output: int, others: int, classes: int = 5) -> None:
        super().__init__()
        self.output, self.others, self.classes = output, others, classes

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).float()

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(images), self.classes)
        rare = torch.arange(len(images)) % self.others == 0 if self.others else torch.zeros(len(images)).bool()
        logits[:, self.output] = torch.where(rare, -9.0, 9.0)
        return logits


@pytest.mark.parametrize("dreams", ["bank", "fresh"])
def test_a_batch_of_fresh_dreams_is_full_however_many_are_left_out(
    five: Scholar, hasty: Settings, dreams: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three dreams two are taken for the class that is forgotten."""
    seen = replace(five, solver=_Sees(4, 3))
    settings = with_changes(hasty, replay__dreams=dreams)
    drawn: list[tuple[int, int]] = []
    draw = FreshDreams.draw

    def counted(self: FreshDreams, count: int) -> Any:
        batch = draw(self, count)
        drawn.append((count, len(batch.inputs)))
        return batch

    monkeypatch.setattr(FreshDreams, "draw", counted)
    assert forget(seen, ["4"], settings=settings).classes == ("0", "1", "2", "3")
    assert all(wanted == found for wanted, found in drawn)
    assert bool(drawn) == (dreams == "fresh")


@pytest.mark.parametrize("dreams", ["bank", "fresh"])
def test_a_scholar_that_dreams_of_nothing_else_cannot_forget(five: Scholar, hasty: Settings, dreams: str) -> None:
    with pytest.raises(InputError, match=r"none of \d+ dreams shows a class that stays"):
        forget(replace(five, solver=_Sees(4, 0)), ["4"], settings=with_changes(hasty, replay__dreams=dreams))


def test_only_classes_that_stay_are_asked_for(five: Scholar, hasty: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    sample = Scholar.sample

    def counted(self: Scholar, conditions: torch.Tensor) -> Any:
        asked.extend(conditions.tolist())
        return sample(self, conditions)

    monkeypatch.setattr(Scholar, "sample", counted)
    forget(five, ["1", "2"], settings=hasty)
    assert set(asked) == {0, 3, 4}


def test_a_renamed_class_is_renamed_everywhere(ten: Scholar, low: Task) -> None:
    found = ten.with_audit(audit(ten, [low]))
    renamed = rename(found, "3", "dreihundert")
    assert renamed.classes == ("0", "1", "2", "dreihundert", "4", "5", "6", "7", "8", "9")
    assert same_weights(renamed, ten)
    assert renamed.lineage[0].classes == ("0", "1", "2", "dreihundert", "4")
    audited = renamed.lineage[-1].audit
    assert audited
    assert [entry.name for entry in audited.classes] == list(renamed.classes)
    assert "dreihundert" in audited.tasks[0].shares
    assert "'3'" not in str(renamed.lineage)
    assert renamed.generation == ten.generation
    assert rename(renamed, "dreihundert", "3").lineage == found.lineage


def test_two_classes_become_one(ten: Scholar, hasty: Settings) -> None:
    """One of one task, the other of another."""
    joined = rename(replace(ten, settings=hasty), "8", "3")
    assert joined.classes == ("0", "1", "2", "3", "4", "5", "6", "7", "9")
    assert kinds(joined) == [("learn", ()), ("learn", (0,)), ("join", (1,))]
    assert joined.lineage[1].classes == ("5", "6", "7", "3", "9")
    assert len(joined.conditions) == 10
    # And of one task.
    joined = rename(replace(ten, settings=hasty), "1", "0")
    assert joined.lineage[0].classes == ("0", "2", "3", "4")
    assert joined.lineage[0].train_counts[0] == sum(ten.lineage[0].train_counts[:2])
    assert len(joined.conditions) == 9


def test_of_joined_classes_nothing_is_left_when_they_are_forgotten(ten: Scholar, hasty: Settings) -> None:
    joined = rename(rename(ten, "8", "achthundert"), "3", "dreihundert")
    joined = rename(replace(joined, settings=hasty), "achthundert", "dreihundert")
    left = forget(even_handed(joined), ["dreihundert"], settings=hasty)
    assert "achthundert" not in str(left.lineage)
    assert "dreihundert" not in str(left.lineage)


@pytest.mark.parametrize("kind", ["vae", "wgan-gp"])
def test_distilled_into_another_generator_and_shape(ten: Scholar, hasty: Settings, kind: str) -> None:
    changes = {"image__size": 8, "image__channels": 3, "solver__width": 4, "solver__steps": 4}
    small = distil(ten, settings=tiny_with(hasty, kind, **changes))
    assert small.classes == ten.classes
    assert small.dream(3)[0].shape == (3, 3, 8, 8)
    assert kinds(small) == [("learn", ()), ("learn", (0,)), ("distil", (1,))]
    assert small.nbytes < ten.nbytes
    assert small.settings.generator.kind == kind


def test_a_narrower_solver_starts_with_the_channels_that_matter(ten: Scholar, hasty: Settings) -> None:
    changes = {"solver__width": 4, "solver__steps": 1, "solver__warm_rate": 1e-9}
    small = distil(ten, settings=with_changes(hasty, **changes))
    wide, narrow = (next(iter(scholar.solver.parameters())).flatten(1) for scholar in (ten, small))
    assert (len(wide), len(narrow)) == (8, 4)
    assert bool((torch.cdist(narrow, wide).amin(1) < 1e-4).all())


Change = Callable[[Scholar, Scholar, Settings], Scholar]
CHANGES: dict[str, Change] = {
    "merged": lambda five, other, settings: merge([five, other], settings=settings),
    "forgotten": lambda five, other, settings: forget(five, ["4"], settings=settings),
    "joined": lambda five, other, settings: rename(replace(five, settings=settings), "4", "3"),
    "distilled": lambda five, other, settings: distil(five, settings=settings),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_came_of_it_is_a_scholar_like_any_other(
    five: Scholar, other: Scholar, low: Task, hasty: Settings, tmp_path: Path, change: Change
) -> None:
    """It is saved, opened, described, reported, audited, evaluated, and learns what it knew and what it did not."""
    made = change(five, other, with_changes(hasty, ood__dreams=60))
    made.save(tmp_path / "made")
    opened = Scholar.load(tmp_path / "made")
    assert same_weights(opened, made)
    assert opened.lineage == made.lineage
    assert opened.ood is not None
    known = describe(opened, tmp_path / "made")
    assert known["generation"] == 2
    assert lineage_tree(opened, "made", known)
    task = replace(low.select_classes([name for name in low.classes if name in made.classes]), name="digits")
    assert sum(evaluate(opened, task).confusion.sum(1).tolist()) == len(task.test)
    audited = opened.with_audit(audit(opened, [task]))
    assert audited.lineage[-1].audit
    audited.save(tmp_path / "made")
    page = write_scholar_page(tmp_path / "made", tmp_path / "report.html", [task]).read_text()
    assert "A scholar that learned digits" in page
    assert "then something" not in page
    again = learn(low, audited, settings=hasty)
    assert set(again.classes) == {*made.classes, *low.classes}
    assert kinds(again)[-1] == ("learn", (len(made.lineage) - 1,))
    assert again.generation == 3


def test_a_forgotten_class_is_learned_again(five: Scholar, low: Task, hasty: Settings) -> None:
    left = forget(five, ["0"], settings=hasty)
    again = learn(low.select_classes(("0", "1")), left)
    assert again.classes == ("1", "2", "3", "4", "0")
    assert len(again.conditions) == 6


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda five, ten: merge([five]), "two scholars or more"),
        (
            lambda five, ten: merge([five, ten, replace(five)]),
            "1 and 3 are the same one: merge takes each once",
        ),
        (lambda five, ten: merge([five, ten], weights=[1]), "weights: give one positive number for each of the 2"),
        (lambda five, ten: merge([five, ten], weights=[1, 0]), "weights"),
        (lambda five, ten: merge([five, ten], weights=[1, float("nan")]), "weights"),
        (lambda five, ten: merge([five, ten], weights=[1, -1]), "weights"),
        (lambda five, ten: merge([five, replace(ten, generator=None)]), "has no generator"),
        (lambda five, ten: forget(five, []), "name one class or more"),
        (lambda five, ten: forget(five, ["o"]), r"this scholar knows no class 'o'\. .*Known: 0, 1, 2, 3, 4"),
        (lambda five, ten: forget(rename(five, "1", "first"), ["frist"]), "Did you mean 'first'"),
        (lambda five, ten: forget(five, ["0", "1", "2", "3"]), "needs 2 classes or more, and 1 would be left: remove"),
        (lambda five, ten: forget(five, list("01234")), "and 0 would be left"),
        (lambda five, ten: forget(replace(five, generator=None), ["0"]), "has no generator"),
        (lambda five, ten: rename(five, "x", "y"), "knows no class 'x'"),
        (lambda five, ten: rename(five, "1", "1"), "is called '1' already"),
        (lambda five, ten: rename(five, "1", " "), "is no name for a class"),
        (lambda five, ten: rename(five, "1", "a "), "begins or ends with a space"),
        (lambda five, ten: rename(five, "1", "a\x1b[2J"), "control character"),
        (lambda five, ten: rename(replace(five, generator=None), "1", "2"), "has no generator"),
        (lambda five, ten: distil(replace(five, generator=None)), "has no generator"),
    ],
)
def test_what_cannot_be_is_refused(
    five: Scholar, ten: Scholar, make: Callable[[Scholar, Scholar], Scholar], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        make(five, ten)


def test_the_only_two_classes_are_not_joined(five: Scholar, hasty: Settings) -> None:
    pair = forget(five, ["2", "3", "4"], settings=hasty)
    with pytest.raises(InputError, match="are all that this scholar knows"):
        rename(pair, "0", "1")


def test_without_a_generator_a_class_is_renamed_still(low: Task, hasty: Settings) -> None:
    stored = learn(low, settings=hasty, past=[])
    assert stored.generator is None
    assert rename(stored, "4", "four").classes[-1] == "four"


def test_names_of_settings_that_no_scholar_of_pixels_has(five: Scholar, hasty: Settings) -> None:
    from scholars.settings import BackboneSettings

    with pytest.raises(InputError, match="scholars of pixels and scholars of features dream of different things"):
        distil(five, settings=Settings(backbone=BackboneSettings()))


STAGES: Sequence[int] = (1, 8, 30)


@pytest.mark.parametrize("stop_at", STAGES)
def test_interrupted_it_goes_on_bit_for_bit(five: Scholar, other: Scholar, tmp_path: Path, stop_at: int) -> None:
    settings = with_changes(five.settings, solver__steps=20, generator__steps=20, replay__bank=500, ood__dreams=30)
    whole = merge([five, other], settings=settings)
    asked = iter(range(10_000))
    with pytest.raises(Interrupted):
        merge(
            [five, other],
            settings=settings,
            session=Session(tmp_path / "work", stopping=lambda: next(asked) >= stop_at, save_every=0),
        )
    resumed = merge([five, other], settings=settings, session=Session(tmp_path / "work"))
    assert same_weights(resumed, whole)


def test_a_budget_by_the_clock_is_chosen_anew(five: Scholar, other: Scholar, hasty: Settings) -> None:
    """That of the last task was for that task, on that day."""
    timed = replace(five, settings=with_changes(hasty, minutes=0.001, budget=7.0))
    for made in (forget(timed, ["0"]), merge([timed, other])):
        assert made.settings.minutes == 0.001
        assert made.settings.budget == 0.02


def test_the_progress_of_a_bank_is_that_of_all_scholars(five: Scholar, other: Scholar, hasty: Settings) -> None:
    ticks: list[tuple[int, int, float]] = []

    def on_tick(tick: Tick) -> None:
        if tick.stage == "bank":
            ticks.append((tick.step, tick.steps, tick.metrics["looked"]))

    merged = merge([five, other], settings=hasty, weights=[1, 3], session=Session(on_tick=on_tick))
    assert ticks == [(25, 100, 25), (100, 100, 100)]
    assert merged.lineage[-1].dreamt == 100


def test_conditions_of_left_out_classes_are_none_of_the_bank(ten: Scholar) -> None:
    inherited = inherit([ten], lambda name: None if name in "37" else name)
    (dreamer,) = inherited.dreamers
    assert dreamer.asked == [0, 1, 2, 4, 5, 6, 8, 9]
    assert np.array_equal(dreamer.conditions.numpy(), [0, 1, 2, -1, 3, 4, 5, -1, 6, 7])
