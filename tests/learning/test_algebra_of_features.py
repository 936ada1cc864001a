"""Merging and forgetting memories of photographs is exact: to the last bit what learning otherwise had made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import same_weights, with_changes
from photographs import arrays, photo_task, photograph, quick

from scholars.backbones import Backbone, look, open_backbone
from scholars.errors import InputError, Interrupted
from scholars.evaluation.accuracy import evaluate
from scholars.generators import Mixture
from scholars.inference.describe import describe, lineage_tree
from scholars.inference.onnx_metadata import metadata
from scholars.learning import features
from scholars.learning.algebra import distil, forget, merge, rename
from scholars.learning.algorithm import learn
from scholars.learning.audit import audit
from scholars.report.scholar_page import write_scholar_page
from scholars.scholar import Scholar
from scholars.settings import BackboneSettings, Settings
from scholars.tasks.task import Task
from scholars.training.loop import Session

PARTS = ("solver", "generator", "ood")


def brief(solver: str = "head", /, **changes: object) -> Settings:
    """Return settings of few steps: they tell photographs of things apart still."""
    few: dict[str, object] = {"solver__steps": 25, "solver__hidden": 0} if solver == "head" else {}
    return quick(solver, **{**few, **changes})


@pytest.fixture(autouse=True)
def _few_dreams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "CLOSED_FORM_DREAMS", 1200)


@cache
def backbone() -> Backbone:
    """Return the one of all, opened once: it takes a second."""
    return open_backbone(BackboneSettings(size=64))


def first(task: Task, settings: Settings | None = None) -> Scholar:
    """Return a scholar that learned this task alone."""
    return learn(task, settings=settings or brief(), backbone=backbone())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos")


def seen(home: Path, name: str, things: Sequence[str], first: int = 0) -> Task:
    """A task of photos at which the backbone has looked."""
    return look(photo_task(home / name, tuple(things), 10, first), backbone(), 1, "crop")


@pytest.fixture(scope="module")
def tasks(home: Path) -> tuple[Task, Task, Task]:
    """Two tasks with a class in common, and one of other classes."""
    return (
        seen(home, "june", ("box", "disc")),
        seen(home, "july", ("disc", "leaf"), first=40),
        seen(home, "august", ("ring",)),
    )


@pytest.fixture(scope="module")
def everything(tasks: tuple[Task, Task, Task]) -> Scholar:
    """A scholar that learned all three in turn."""
    return in_turn(tasks, brief())


def in_turn(tasks: Sequence[Task], settings: Settings) -> Scholar:
    scholar = first(tasks[0], settings)
    for task in tasks[1:]:
        scholar = learn(task, scholar)
    return scholar


def digests(scholar: Scholar, folder: Path) -> dict[str, str]:
    """SHA-256 of the weight files of a scholar that is saved."""
    scholar.save(folder)
    return {part: hashlib.sha256((folder / f"{part}.safetensors").read_bytes()).hexdigest() for part in PARTS}


def assert_equal_bits(a: Scholar, b: Scholar) -> None:
    assert a.classes == b.classes
    for part in ("solver", "ood"):
        left, right = a._weights()[part], b._weights()[part]
        assert left.keys() == right.keys()
        for name, value in left.items():
            assert torch.equal(value, right[name]), name
    assert memories(a) == memories(b)


def memories(scholar: Scholar) -> list[tuple[str, str]]:
    assert isinstance(scholar.generator, Mixture)
    found = zip(scholar.conditions, scholar.generator.memories, strict=True)
    return sorted((scholar.classes[output], memory.digest) for (_, output), memory in found)


@pytest.mark.parametrize("kind", ["head", "lda", "ncm"])
def test_merging_is_learning_in_turn(tasks: tuple[Task, Task, Task], kind: str, tmp_path: Path) -> None:
    settings = brief(kind)
    alone = [first(task, settings) for task in tasks]
    whole = in_turn(tasks, settings)
    merged = merge(alone)
    assert_equal_bits(merged, whole)
    assert [record.kind for record in merged.lineage] == ["learn"] * 3 + ["merge"]
    assert merged.lineage[-1].parents == (0, 1, 2)
    # In whichever order and groups.
    assert_equal_bits(merge([alone[2], merge(alone[:2])]), whole)
    assert_equal_bits(merge([in_turn(tasks[1:], settings), alone[0]]), whole)
    photos = [photograph(thing, 99) for thing in whole.classes]
    assert np.array_equal(merged.predict_proba(photos), whole.predict_proba(photos))
    for each in (merged, whole):
        each.save(tmp_path / "scholar")
        assert_equal_bits(Scholar.load(tmp_path / "scholar"), whole)


@pytest.mark.parametrize("kind", ["head", "lda", "ncm"])
@pytest.mark.parametrize(
    ("gone", "left"),
    [
        (["ring"], ["june", "july"]),
        (["box"], ["june:disc", "july", "august"]),
        (["disc"], ["june:box", "july:leaf", "august"]),
        (["disc", "box", "leaf"], ["august"]),
    ],
    ids=["last task", "class of one", "class of two", "all but one"],
)
def test_forgetting_is_never_having_learned(
    tasks: tuple[Task, Task, Task], kind: str, gone: list[str], left: list[str], tmp_path: Path
) -> None:
    """The weight files are the same, byte by byte."""
    settings = brief(kind)
    forgotten = forget(in_turn(tasks, settings), gone)
    chosen = []
    for words in left:
        name, _, only = words.partition(":")
        task = next(task for task in tasks if task.name == name)
        chosen.append(task.select_classes([only]) if only else task)
    never = in_turn(chosen, settings)
    assert digests(forgotten, tmp_path / "a") == digests(never, tmp_path / "b")
    assert forgotten.classes == never.classes
    assert same_weights(forgotten, never)
    assert [record.classes for record in forgotten.tasks] == [record.classes for record in never.tasks]
    # What is learned next is the same, too.
    last = tasks[0].select_classes(["box"])
    assert same_weights(learn(last, forgotten), learn(last, never))


def test_nothing_of_a_forgotten_class_is_written(
    tasks: tuple[Task, Task, Task], everything: Scholar, tmp_path: Path
) -> None:
    audited = everything.with_audit(audit(everything, list(tasks)))
    assert "leaf" in str(audited.lineage[-1].audit)
    left = forget(audited, ["leaf"])
    left.save(tmp_path / "left")
    written = (tmp_path / "left" / "scholar.json").read_text()
    assert "leaf" not in written
    description = json.loads(written)
    before, now = everything.lineage[1], description["lineage"][1]
    assert (before.classes, now["classes"]) == (("disc", "leaf"), ["disc"])
    assert (now["train_count"], now["train_counts"], now["test_count"], now["test_counts"]) == (10, [10], 4, [4])
    for record in description["lineage"][1:]:
        assert record["audit"] is None
        assert record["accuracy"] is None or record["name"] == "august"
        assert record["metrics"] == {} or record["kind"] == "forget"
    assert [record["kind"] for record in description["lineage"]] == ["learn", "learn", "learn", "forget"]


def test_of_photos_only_those_of_the_forgotten_class_are_no_longer_known(
    tasks: tuple[Task, Task, Task], everything: Scholar, tmp_path: Path
) -> None:
    forget(everything, ["leaf"]).save(tmp_path / "left")
    left = Scholar.load(tmp_path / "left")
    for place, task in enumerate(tasks):
        for label, name in enumerate(task.classes):
            own = task.train.digests[task.train.labels == label]
            assert everything.lineage[place].was_trained_on(own).all()
            assert left.lineage[place].was_trained_on(own).all() == (name != "leaf")
            assert left.lineage[place].was_trained_on(own).any() == (name != "leaf")
    # Nor by anything else that is written about them.
    gone = tasks[1].train.digests[tasks[1].train.labels == 1]
    kept = everything.lineage[1].remembering(gone, np.zeros(len(gone), np.int64)).trained
    written = (tmp_path / "left" / "scholar.json").read_text()
    assert all(kept[start : start + 8] not in written for start in range(0, len(kept), 8))


def test_a_scholar_that_forgot_is_one_like_any_other(
    tasks: tuple[Task, Task, Task], everything: Scholar, tmp_path: Path
) -> None:
    forgot = forget(everything, ["disc"])
    for made, link in ((forgot, ", then "), (merge([forgot, first(tasks[0])]), ", ")):
        made.save(tmp_path / "made")
        opened = Scholar.load(tmp_path / "made")
        assert same_weights(opened, made)
        known = describe(opened, tmp_path / "made")
        assert [one["task"] for one in known["memories"]["classes"]]
        assert lineage_tree(opened, "made", known)
        assert json.loads(metadata(opened)["tasks"]) == [record.name for record in opened.tasks]
        task = tasks[2]
        assert evaluate(opened, task).accuracy > 0.5
        assert opened.with_audit(audit(opened, [task])).lineage[-1].audit
        for tests in ([], [task]):
            page = write_scholar_page(tmp_path / "made", tmp_path / "report.html", tests).read_text()
            learned = link.join(record.name for record in opened.tasks)
            assert f"A scholar that learned {learned}, and knows" in page
        again = learn(tasks[0], opened)
        assert again.classes == ("box", "disc", "leaf", "ring")
        assert len(opened.predict([photograph("ring", 5)])) == 1


def test_the_report_says_what_all_photos_take(
    everything: Scholar, tasks: tuple[Task, Task, Task], tmp_path: Path
) -> None:
    """Also of a scholar that was made without any data at last."""
    distil(everything).save(tmp_path / "made")
    page = write_scholar_page(tmp_path / "made", tmp_path / "report.html", tasks).read_text()
    assert "and the photos themselves" in page


def test_a_shared_past_counts_once(tasks: tuple[Task, Task, Task]) -> None:
    past = first(tasks[0])
    left, right = learn(tasks[1], past), learn(tasks[2], past)
    merged = merge([left, right])
    assert [record.name for record in merged.lineage] == ["june", "july", "august", "merged 2 scholars"]
    assert [record.parents for record in merged.lineage] == [(), (0,), (0,), (1, 2)]
    assert len(merged.conditions) == 5
    assert_equal_bits(merged, in_turn(tasks, brief()))
    # With a descendant, and of what was learned apart.
    assert_equal_bits(merge([past, left]), left)
    apart = first(replace(tasks[0], name="photos"))
    assert_equal_bits(merge([left, apart]), left)


def test_merging_what_forgot_with_what_did_not(everything: Scholar) -> None:
    left = forget(everything, ["disc", "ring"])
    for both in ([left, everything], [everything, left]):
        merged = merge(both)
        assert_equal_bits(merged, everything)
        assert len(merged.tasks) == 3


def test_a_renamed_class_keeps_all_answers(everything: Scholar, tmp_path: Path) -> None:
    """Outputs stand in the order of names: those of the solver change places."""
    renamed = rename(everything, "box", "zebra")
    assert renamed.classes == ("disc", "leaf", "ring", "zebra")
    photos = [photograph(thing, 7) for thing in ("box", "disc", "leaf", "ring")]
    before, after = everything.predict_proba(photos), renamed.predict_proba(photos)
    assert np.allclose(after[:, [3, 0, 1, 2]], before, atol=1e-6)
    assert np.array_equal(renamed.unfamiliar(photos), everything.unfamiliar(photos))
    assert [name for name, _ in memories(renamed)] == ["disc", "disc", "leaf", "ring", "zebra"]
    renamed.save(tmp_path / "renamed")
    assert "box" not in (tmp_path / "renamed" / "scholar.json").read_text()
    # Once anything is taught anew, it is as if it had been called so from the start.
    assert_equal_bits(forget(renamed, ["zebra"]), forget(everything, ["box"]))


def test_two_classes_become_one(tasks: tuple[Task, Task, Task], everything: Scholar, tmp_path: Path) -> None:
    """Of different tasks: the memories are those of photos that had been called so from the start."""
    joined = rename(everything, "leaf", "ring")
    august, july = tasks[2], tasks[1]
    called = replace(july, classes=("disc", "ring"))
    assert_equal_bits(joined, in_turn([tasks[0], called, august], brief()))
    # Of one task: their memories become one.
    joined = rename(everything, "leaf", "disc")
    assert joined.lineage[1].classes == ("disc",)
    assert joined.lineage[1].train_count == 20
    assert isinstance(joined.generator, Mixture)
    assert [int(memory.photos) for memory in joined.generator.memories] == [10, 10, 20, 10]
    assert joined.lineage[1].was_trained_on(july.train.digests).all()
    assert evaluate(joined, august).accuracy > 0.5
    joined.save(tmp_path / "joined")
    assert same_weights(Scholar.load(tmp_path / "joined"), joined)


@pytest.mark.parametrize("kind", ["lda", "ncm"])
def test_distilled_into_another_solver(tasks: tuple[Task, Task, Task], everything: Scholar, kind: str) -> None:
    """Of the same memories: it is what had learned the tasks so."""
    assert_equal_bits(distil(everything, settings=brief(kind)), in_turn(tasks, brief(kind)))


def test_distilled_into_a_generator_of_constant_size(everything: Scholar, tasks: tuple[Task, Task, Task]) -> None:
    tiny = {"kind": "flow", "steps": 3, "width": 16, "batch": 16, "sampling_steps": 2}
    few = brief(replay__bank=200, **{f"generator.{key}": value for key, value in tiny.items()})
    small = distil(everything, settings=few)
    assert small.settings.generator.kind == "flow"
    assert len(small.conditions) == 5
    assert small.dream(3)[0].shape == (3, 1280)
    left = forget(small, ["ring"], settings=few)
    assert left.classes == ("box", "disc", "leaf")
    assert len(left.conditions) == 4
    # Memories and dreams of a trained generator make another one.
    alone = first(tasks[2])
    assert merge([small, alone], settings=few).classes == ("box", "disc", "leaf", "ring")
    with pytest.raises(InputError, match=r"generator\.kind=mixture keeps memories, and .* has none: choose another"):
        merge([alone, small])
    with pytest.raises(InputError, match=r"generator\.kind=mixture keeps memories"):
        distil(small, settings=brief())


def test_one_class_may_be_all_that_is_left(everything: Scholar) -> None:
    left = forget(everything, ["box", "disc", "leaf"])
    assert left.predict([photograph("ring", 1)]) == ["ring"]
    with pytest.raises(InputError, match="needs 1 class or more, and 0 would be left"):
        forget(left, ["ring"])
    joined = rename(forget(everything, ["box", "disc"]), "leaf", "ring")
    assert joined.predict([photograph("leaf", 1)]) == ["ring"]


def test_scholars_that_dream_of_different_things_are_not_merged(everything: Scholar, one: Scholar) -> None:
    for both in ([one, everything], [everything, one]):
        with pytest.raises(InputError, match="scholars of pixels and scholars of features dream of different things"):
            merge(both)
    larger = learn(arrays(("ring",), 4), settings=brief(backbone__size=96))
    with pytest.raises(InputError, match="features of different backbones mean different things"):
        merge([everything, larger])
    padded = learn(arrays(("ring",), 4), settings=brief(image__fit="pad"))
    with pytest.raises(InputError, match=r"image\.fit differs"):
        merge([everything, padded])
    with pytest.raises(InputError, match="a scholar of features keeps its backbone"):
        distil(everything, settings=one.settings)
    with pytest.raises(InputError):
        distil(everything, settings=brief(backbone__size=96))


@pytest.mark.parametrize("stop_at", [1, 10, 22])
def test_interrupted_it_goes_on_bit_for_bit(everything: Scholar, tmp_path: Path, stop_at: int) -> None:
    whole = forget(everything, ["leaf"])
    asked = iter(range(10_000))
    session = Session(tmp_path / "work", stopping=lambda: next(asked) >= stop_at, save_every=0)
    with pytest.raises(Interrupted):
        forget(everything, ["leaf"], session=session)
    steps: list[int] = []
    resumed = forget(everything, ["leaf"], session=Session(tmp_path / "work", on_tick=lambda t: steps.append(t.step)))
    assert same_weights(resumed, whole)
    assert min(steps) >= stop_at


def test_another_seed_is_another_head(everything: Scholar, tasks: tuple[Task, Task, Task]) -> None:
    other = forget(everything, ["ring"], seed=3)
    assert memories(other) == memories(in_turn(tasks[:2], brief()))
    assert not torch.equal(
        other.solver.state_dict()["last.weight"], forget(everything, ["ring"]).solver.state_dict()["last.weight"]
    )
    assert other.lineage[-1].seed == 3


def test_settings_that_were_changed_since_are_kept(everything: Scholar) -> None:
    longer = replace(everything, settings=with_changes(everything.settings, solver__steps=3))
    assert forget(longer, ["ring"]).settings.solver == longer.settings.solver
