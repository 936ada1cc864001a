"""Records of a lineage: regrouped by other names, without what was forgotten, and refused where they contradict."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from scholars.errors import InputError
from scholars.scholar import Scholar
from scholars.storage.audits import Audit, ClassAudit, TaskAudit
from scholars.storage.records import LineageRecord, ScholarDescription, generations
from scholars.storage.trained_photos import CHARACTERS


def photos(*names: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(hashlib.sha256(name.encode()).digest() for name in names), np.uint8).reshape(-1, 32)


CAT, DOG, FOX = ("c1", "c2", "c3"), ("d1", "d2"), ("f1",)


@pytest.fixture
def record(one: Scholar) -> LineageRecord:
    """A task of three cats, two dogs and a fox."""
    made = one.lineage[0].model_copy(
        update={
            "name": "pets",
            "classes": ("cat", "dog", "fox"),
            "train_count": 6,
            "train_counts": (3, 2, 1),
            "test_count": 6,
            "test_counts": (1, 2, 3),
            "accuracy": 0.5,
            "mean_class_accuracy": 0.6,
            "audit": Audit(
                dreams=9,
                classes=(ClassAudit(name="cat", share=1, confidence=1, agreement=1),),
                tasks=tuple(
                    TaskAudit(
                        name=name,
                        accuracy=1,
                        recall=1,
                        shares={"cat": 0.5, "dog": 0.5},
                        copies=0,
                        nearest_dream=0,
                        nearest_real=0,
                    )
                    for name in ("pets", "farm")
                ),
                frechet_distance=None,
                precision=None,
                warnings=("dying out: 'cat' (0.1 %) of the dreams", "concatenated"),
            ),
        }
    )
    return made.remembering(photos(*CAT, *DOG, *FOX), np.array([0, 0, 0, 1, 1, 2]))


def test_photos_are_kept_class_by_class(record: LineageRecord) -> None:
    assert len(record.trained) == 6 * CHARACTERS
    assert record.was_trained_on(photos(*CAT, "x", *DOG, *FOX)).tolist() == [True] * 3 + [False] + [True] * 3
    # In whichever order they came.
    shuffled = record.remembering(photos(*FOX, *DOG, *reversed(CAT)), np.array([2, 1, 1, 0, 0, 0]))
    assert shuffled.trained == record.trained


@pytest.mark.parametrize(("gone", "left"), [("cat", DOG + FOX), ("dog", CAT + FOX), ("fox", CAT + DOG)])
def test_a_class_that_goes_takes_its_photos_and_counts(record: LineageRecord, gone: str, left: tuple[str, ...]) -> None:
    found = record.regrouped({name: None if name == gone else name for name in record.classes})
    place = record.classes.index(gone)
    assert found.classes == tuple(name for name in record.classes if name != gone)
    assert found.train_counts == record.train_counts[:place] + record.train_counts[place + 1 :]
    assert found.test_counts == record.test_counts[:place] + record.test_counts[place + 1 :]
    assert (found.train_count, found.test_count) == (sum(found.train_counts), sum(found.test_counts))
    assert (found.accuracy, found.mean_class_accuracy) == (None, None)
    everything = CAT + DOG + FOX
    assert found.was_trained_on(photos(*everything)).tolist() == [name in left for name in everything]
    assert len(found.trained) == CHARACTERS * len(left)


def test_two_classes_as_one(record: LineageRecord) -> None:
    found = record.regrouped({"cat": "animal", "dog": "dog", "fox": "animal"})
    assert found.classes == ("animal", "dog")
    assert (found.train_counts, found.test_counts, found.train_count) == ((4, 2), (4, 2), 6)
    assert found.was_trained_on(photos(*CAT, *DOG, *FOX)).all()
    assert found.accuracy is None
    # Of the one that they are now all photos go.
    left = found.regrouped({"animal": None, "dog": "dog"})
    assert left.was_trained_on(photos(*CAT, *DOG, *FOX)).tolist() == [False] * 3 + [True] * 2 + [False]
    again = found.regrouped({"animal": "animal", "dog": None})
    assert again.was_trained_on(photos(*CAT, *DOG, *FOX)).tolist() == [True] * 3 + [False] * 2 + [True]


def test_another_name_changes_nothing_else(record: LineageRecord) -> None:
    found = record.regrouped({"cat": "kitten", "dog": "dog", "fox": "fox"})
    assert found == record.model_copy(update={"classes": ("kitten", "dog", "fox")})


def test_of_a_scholar_of_an_earlier_version_counts_of_classes_are_not_known(record: LineageRecord) -> None:
    """So no photos of other classes are known either: which they are cannot be told."""
    old = record.model_copy(update={"train_counts": (), "test_counts": ()})
    found = old.regrouped({"cat": None, "dog": "dog", "fox": "fox"})
    assert (found.train_count, found.train_counts, found.test_count, found.trained) == (0, (), 0, "")


def test_what_was_measured_goes(record: LineageRecord) -> None:
    found = record.model_copy(update={"dreamt": 7, "plan": {"solver.shift": 1}}).unmeasured()
    assert (found.audit, found.metrics, found.plan, found.seconds, found.dreamt) == (None, {}, {}, {}, 0)
    assert found.trained == record.trained
    assert found.accuracy == 0.5


def test_an_audit_has_the_new_names(record: LineageRecord) -> None:
    found = record.with_other_names({"cat": "kitten", "dog": "dog"}, {"pets": "pets-2"})
    assert found.name == "pets-2"
    assert found.audit
    assert [entry.name for entry in found.audit.classes] == ["kitten"]
    assert [(task.name, task.shares) for task in found.audit.tasks] == [
        ("pets-2", {"kitten": 0.5, "dog": 0.5}),
        ("farm", {"kitten": 0.5, "dog": 0.5}),
    ]
    assert found.audit.warnings == ("dying out: 'kitten' (0.1 %) of the dreams", "concatenated")
    assert record.with_other_names({"cat": "cat"}, {}) == record
    unaudited = record.model_copy(update={"audit": None})
    assert unaudited.with_other_names({}, {"pets": "b"}).name == "b"
    other = unaudited.model_copy(update={"kind": "merge"})
    assert other.with_other_names({}, {"pets": "b"}).name == "pets", "what was done is no task"


def test_a_generation_is_one_more_than_its_parents(one: Scholar) -> None:
    def parents(*each: tuple[int, ...]) -> list[int]:
        return generations([one.lineage[0].model_copy(update={"parents": found}) for found in each])

    assert parents() == []
    assert parents((), (0,), (1,)) == [1, 2, 3]
    assert parents((), (0,), (), (1, 2), (2,)) == [1, 2, 1, 3, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "undo"}, "kind"),
        ({"kind": "forget"}, "a record of the kind forget has no classes of its own"),
        ({"kind": None}, "kind"),
        ({"parents": [1]}, "has parents (1,), which do not come before it"),
        ({"parents": [0]}, "which do not come before it"),
        ({"parents": [-1]}, "which do not come before it"),
        ({"parents": ["x"]}, "parents"),
        ({"parents": 10**30}, "parents"),
        ({"train_counts": [1]}, "train_counts is not one number, 0 or more, for each of its classes"),
        ({"train_counts": [1, 1, 1, 1, "x"]}, "train_counts"),
        ({"train_counts": [-9, 9, 1, 1, 1]}, "train_counts is not one number, 0 or more"),
        ({"train_counts": [1, 1, 1, 1, 1]}, "not of equally many images"),
        ({"test_counts": [1]}, "test_counts is not one number"),
        ({"trained": "AAAAAAAA"}, "not of equally many images"),
        ({"trained": "no base64"}, "trained"),
        ({"classes": ["0", "1", "2", "3", "x"]}, "which is not among classes"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(
    one: Scholar, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    one.save(tmp_path / "scholar")
    file = tmp_path / "scholar" / "scholar.json"
    document = json.loads(file.read_text())
    document["lineage"][0] |= change
    file.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        Scholar.load(tmp_path / "scholar")
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_generation_that_does_not_follow_from_the_parents_is_refused(two: Scholar) -> None:
    def parse(generation: int, *parents: tuple[int, ...]) -> ScholarDescription:
        lineage = [
            {**record.model_dump(mode="json"), "parents": list(own)}
            for record, own in zip(two.lineage, parents, strict=True)
        ]
        image = two.settings.image.model_dump(mode="json")
        return ScholarDescription.parse(
            {"classes": list(two.classes), "image": image, "generation": generation, "lineage": lineage}, "here"
        )

    assert parse(2, (), (0,)).generation == 2
    assert parse(1, (), ()).generation == 1
    with pytest.raises(InputError, match=r"here is not valid: .*generation is 2, and by the parents .* it is 1"):
        parse(2, (), ())
