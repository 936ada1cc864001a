"""Scholars of features: what they learn does not depend on the order of tasks, bit for bit, and is kept."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from photographs import arrays, own_features, photo_task, photograph, quick
from PIL import Image

from scholars.backbones import Backbone, look, look_at, open_backbone
from scholars.backbones.engines import OnnxEngine
from scholars.backbones.feature_cache import features_folder
from scholars.errors import InputError, Interrupted
from scholars.generators import FeatureGenerator, Mixture
from scholars.learning import features, heads
from scholars.learning.algorithm import learn
from scholars.learning.arguments import Past
from scholars.scholar import Scholar
from scholars.settings import BackboneSettings, FlowSettings, ReplaySettings, Settings
from scholars.solvers import Head
from scholars.tasks.open import open_task
from scholars.tasks.task import Task
from scholars.training.batches import BatchSource
from scholars.training.loop import Session

FIRST, SECOND = ("box", "disc"), ("leaf", "ring")


@pytest.fixture(autouse=True)
def _few_dreams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "CLOSED_FORM_DREAMS", 1200)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return open_backbone(BackboneSettings(size=64))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory, backbone: Backbone) -> tuple[Task, Task]:
    """Two tasks at which the backbone has looked."""
    folder = tmp_path_factory.mktemp("photos")
    first, second = (photo_task(folder / things[0], things, 16) for things in (FIRST, SECOND))
    return look(first, backbone, 1, "crop"), look(second, backbone, 1, "crop")


@pytest.fixture(scope="module")
def both(tasks: tuple[Task, Task]) -> Scholar:
    """A scholar that learned both."""
    return learn(tasks[1], learn(tasks[0], settings=quick()))


def memories(scholar: Scholar) -> list[str]:
    assert isinstance(scholar.generator, Mixture)
    return sorted(memory.digest for memory in scholar.generator.memories)


def assert_equal_bits(a: Scholar, b: Scholar) -> None:
    assert a.classes == b.classes
    for left, right in ((a.solver.state_dict(), b.solver.state_dict()), (a._weights()["ood"], b._weights()["ood"])):
        assert left.keys() == right.keys()
        for name, value in left.items():
            assert torch.equal(value, right[name]), name
    assert memories(a) == memories(b)


def accuracy(scholar: Scholar, task: Task) -> float:
    chosen = scholar.probabilities(scholar.seen(task.test).feature_tensor[:, 0].float()).argmax(1)
    right = [scholar.classes[i] == task.classes[label] for i, label in zip(chosen, task.test.labels, strict=True)]
    return float(np.mean(right))


@pytest.mark.parametrize(
    ("kind", "second"),
    [("head", SECOND), ("head", ("disc", "leaf")), ("lda", ("disc", "leaf")), ("ncm", ("disc", "leaf"))],
)
def test_the_order_of_tasks_does_not_matter(
    kind: str, second: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each order decodes, looks and learns on its own; some tasks have a class in common."""
    settings = quick(kind)
    learned = []
    for order in (0, 1):
        with monkeypatch.context() as patch:
            own_features(patch, tmp_path / f"cache-{order}")
            given = [photo_task(tmp_path / "a", FIRST, 10), photo_task(tmp_path / "b", second, 10, first=50)]
            scholar = None
            for task in (given, given[::-1])[order]:
                scholar = learn(task, scholar, settings=None if scholar else settings)
            assert scholar
            learned.append(scholar)
    one, other = learned
    assert one.conditions != other.conditions
    assert one.classes == tuple(sorted({*FIRST, *second}))
    assert_equal_bits(one, other)
    photos = [photograph(thing, 99) for thing in one.classes]
    assert np.array_equal(one.predict_proba(photos), other.predict_proba(photos))
    assert np.array_equal(one.unfamiliar(photos), other.unfamiliar(photos))
    assert torch.equal(one.dream(40, seed=3)[0], other.dream(40, seed=3)[0])


def test_another_seed_is_another_head_on_the_same_memories(tasks: tuple[Task, Task]) -> None:
    """What is compared above can differ."""
    a, b = (learn(tasks[0], settings=quick(), seed=seed) for seed in (0, 1))
    assert memories(a) == memories(b)
    assert not torch.equal(a.solver.state_dict()["last.weight"], b.solver.state_dict()["last.weight"])


def test_a_memory_does_not_change_whatever_else_is_learned(tasks: tuple[Task, Task], both: Scholar) -> None:
    alone = [memories(learn(task, settings=quick())) for task in tasks]
    assert memories(both) == sorted([*alone[0], *alone[1]])


def test_the_backbone_is_taken_for_photographs(tmp_path: Path) -> None:
    scholar = learn(photo_task(tmp_path, FIRST, 5))
    assert scholar.backbone
    assert scholar.backbone.record.name == "efficientnet-lite0"
    assert scholar.settings.backbone
    assert scholar.settings.image.size == scholar.settings.backbone.size == 128
    assert isinstance(scholar.solver, Head)
    record = scholar.lineage[0]
    assert record.engine == "onnxruntime"
    assert record.seconds["features"] > 0
    assert record.accuracy == 1


def test_exact_ends_where_joint_does(tasks: tuple[Task, Task]) -> None:
    first, second = tasks
    previous = learn(first, settings=quick(), past=[])
    exact, joint = learn(second, previous, past=[first]), learn(second, settings=quick(), past=[first])
    assert exact.generator is joint.generator is None
    assert exact.classes == joint.classes
    for name, value in exact.solver.state_dict().items():
        assert torch.equal(value, joint.solver.state_dict()[name]), name
    assert accuracy(exact, first) == accuracy(exact, second) == 1


def test_naive_forgets_and_replay_does_not(tasks: tuple[Task, Task], both: Scholar) -> None:
    first, second = tasks
    naive = learn(second, learn(first, settings=quick(solver__steps=400), past=[]), past=[])
    assert accuracy(naive, second) == 1
    assert accuracy(naive, first) <= accuracy(both, first) - 0.25
    assert accuracy(both, first) == accuracy(both, second) == 1


def test_learning_without_forgetting(tasks: tuple[Task, Task]) -> None:
    first, second = tasks
    previous = learn(first, settings=quick(solver__steps=300), past="current data")
    assert accuracy(previous, first) == 1
    scholar = learn(second, previous, past="current data")
    assert scholar.generator is None
    assert scholar.classes == ("box", "disc", "leaf", "ring")
    # Half of what it is taught says that new images are like old classes: it learns the new ones all the same.
    assert accuracy(scholar, second) >= 0.5
    # It starts from the previous head: a few steps keep what tells box from disc.
    scholar = learn(second, previous, settings=quick(solver__steps=5), past="current data")
    among = scholar.restrict_to(scholar.probabilities(first.test.feature_tensor[:, 0].float()), first.classes)
    expected = [scholar.classes.index(first.classes[label]) for label in first.test.labels]
    assert float((among.argmax(1) == torch.tensor(expected)).float().mean()) >= 0.75


@pytest.mark.parametrize("kind", ["lda", "ncm"])
@pytest.mark.parametrize("past", ["current data", []])
def test_what_is_computed_is_not_trained_further(tasks: tuple[Task, Task], kind: str, past: Past) -> None:
    previous = learn(tasks[0], settings=quick(kind))
    with pytest.raises(InputError, match=r"need solver\.kind=head"):
        learn(tasks[1], previous, past=past)


def test_a_hidden_layer_stays_as_it_was_where_a_head_is_trained_further(tasks: tuple[Task, Task]) -> None:
    previous = learn(tasks[0], settings=quick(), past=[])
    for hidden in (0, 32):
        with pytest.raises(InputError, match=r"leave solver\.hidden as it was"):
            learn(tasks[1], previous, settings=quick(solver__hidden=hidden), past=[])


@pytest.mark.parametrize("kind", ["head", "lda", "ncm"])
def test_a_first_task_of_one_class(kind: str, backbone: Backbone) -> None:
    scholar = learn(arrays(("disc",), 3), settings=quick(kind), backbone=backbone)
    assert scholar.predict([photograph("box", 0), photograph("disc", 1)]) == ["disc", "disc"]
    assert scholar.predict_proba([photograph("box", 0)]).tolist() == [[1.0]]


@pytest.mark.parametrize("kind", ["head", "lda", "ncm"])
def test_one_photo_in_a_class(kind: str, backbone: Backbone) -> None:
    settings = quick(kind)
    scholar = learn(arrays(("box", "disc"), {"box": 1, "disc": 8}), settings=settings, backbone=backbone)
    scholar = learn(arrays(("leaf", "ring"), 1, first=40), scholar)
    assert isinstance(scholar.generator, Mixture)
    assert [int(memory.photos) for memory in scholar.generator.memories] == [1, 8, 1, 1]
    assert scholar.predict([photograph(thing, 40) for thing in ("box", "disc", "leaf", "ring")]) == [
        "box",
        "disc",
        "leaf",
        "ring",
    ]


@pytest.mark.parametrize("kind", ["flow", "vae", "wgan-gp"])
def test_generators_that_are_trained(kind: str, tasks: tuple[Task, Task], tmp_path: Path) -> None:
    changes: dict[str, object] = {
        "generator.kind": kind,
        "generator.steps": 20,
        "generator.width": 32,
        "replay.bank": 200,
    }
    settings = quick(**changes, generator__conditional=True)
    scholar = learn(tasks[1], learn(tasks[0], settings=settings))
    assert isinstance(scholar.generator, FeatureGenerator)
    assert scholar.classes == ("box", "disc", "leaf", "ring")
    drawn = scholar.dream(9)[0]
    assert drawn.shape == (9, 1280)
    scholar.save(tmp_path / "a")
    assert torch.equal(Scholar.load(tmp_path / "a").dream(9)[0], drawn)


def test_with_a_backbone_generators_are_told_the_class() -> None:
    """Dreams of any class would have been labelled by chance."""
    assert quick(generator__kind="wgan-gp").generator.conditional
    with pytest.raises(InputError, match=r"generator\.conditional=false: with a backbone"):
        quick(generator__kind="wgan-gp", generator__conditional=False)


def test_replay_of_a_mixture_has_no_ratio() -> None:
    with pytest.raises(InputError, match=r"replay\.ratio is not for generator\.kind=mixture"):
        quick(replay__ratio=0.5)


PASTS: dict[str, Past] = {"dreams": "dreams", "lwf": "current data", "naive": []}


@pytest.mark.parametrize("balance", ["classes", "none"])
@pytest.mark.parametrize("past", ["dreams", "lwf", "naive", "exact"])
def test_a_head_is_taught_by_every_class_equally_often(
    past: str, balance: str, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 30 boxes, 30 discs and a single leaf. By dreams in any case; by real photos unless it is asked otherwise."""
    first, second = arrays(("ring", "disc"), 8), arrays(("box", "disc", "leaf"), {"box": 30, "disc": 30, "leaf": 1})
    settings = quick(solver__steps=2, solver__batch=900, replay__balance=balance)
    previous = learn(first, settings=settings, backbone=backbone)
    drawn: list[torch.Tensor] = []
    descend = heads._descend

    def spying(head: Head, source: BatchSource, *rest: Any) -> None:
        batch = source.draw(6000)
        drawn.append(torch.bincount(batch.labels[batch.targets.amax(1) == 1], minlength=4))
        descend(head, source, *rest)

    monkeypatch.setattr(heads, "_descend", spying)
    learn(second, previous, past=PASTS.get(past, [first]))
    box, disc, leaf, _ = drawn[0].tolist()
    if past == "dreams" or balance == "classes":
        assert leaf / box == pytest.approx(1, abs=0.2)
        assert disc / box == pytest.approx(1, abs=0.2)
    else:
        assert leaf / box == pytest.approx(1 / 30, abs=0.02)


def test_photographs_are_drawn_by_class_unless_it_is_asked_otherwise() -> None:
    assert quick().replay.balance == "classes"
    assert quick(generator__kind="flow").replay.balance == "classes"
    assert quick(replay__balance="none").replay.balance == "none"
    assert Settings().replay.balance == "none"
    from_python = Settings(backbone=BackboneSettings(), generator=FlowSettings(), replay=ReplaySettings(bank=90))
    assert (from_python.replay.balance, from_python.replay.bank) == ("classes", 90)
    # What is wrong is named, not the default that would go with it.
    with pytest.raises(InputError, match=r"replay\.dreams is not for generator\.kind=mixture"):
        quick(replay__dreams="fresh")


def test_dreams_are_features_of_the_class_asked_for(both: Scholar) -> None:
    drawn, probabilities = both.dream(32, seed=1)
    assert drawn.shape == (32, 1280)
    assert drawn.dtype == torch.float32
    assert probabilities.shape == (32, 4)
    own, probabilities = both.dream(10, seed=1, of="leaf")
    assert len(own) == 10
    assert (probabilities.argmax(1) == both.classes.index("leaf")).all()


def test_images_and_their_features_give_the_same_answers(both: Scholar, backbone: Backbone) -> None:
    seen = look(arrays(FIRST, 3), backbone, 0, "crop").test
    from_pixels = both.predict_proba(seen.images)
    from_features = both.probabilities(seen.feature_tensor[:, 0].float()).numpy()
    assert np.abs(from_pixels - from_features).max() < 5e-3  # kept in half precision


def test_a_scholar_is_saved_and_opened_with_its_backbone(both: Scholar, tmp_path: Path) -> None:
    both.save(tmp_path / "a")
    opened = Scholar.load(tmp_path / "a")
    assert_equal_bits(opened, both)
    assert opened.backbone
    assert both.backbone
    assert opened.backbone.record == both.backbone.record
    photos = [photograph("disc", 7), photograph("leaf", 7)]
    assert np.array_equal(opened.predict_proba(photos), both.predict_proba(photos))
    assert "backbone" not in opened._weights()
    assert opened.nbytes == both.nbytes


def test_generations_share_one_file_of_the_backbone(tasks: tuple[Task, Task], tmp_path: Path) -> None:
    learn(tasks[0], settings=quick()).save(tmp_path / "1")
    learn(tasks[1], Scholar.load(tmp_path / "1")).save(tmp_path / "2")
    assert (tmp_path / "2" / "backbone.safetensors").samefile(tmp_path / "1" / "backbone.safetensors")
    # And over itself, as the command line does.
    learn(tasks[0], Scholar.load(tmp_path / "2")).save(tmp_path / "2")
    assert (tmp_path / "2" / "backbone.safetensors").samefile(tmp_path / "1" / "backbone.safetensors")
    assert Scholar.load(tmp_path / "2").generation == 3


def test_the_backbone_is_copied_where_links_fail(
    both: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.save(tmp_path / "1")
    first = Scholar.load(tmp_path / "1")

    def refuse(self: Path, target: Path) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    first.save(tmp_path / "2")
    one, other = (tmp_path / name / "backbone.safetensors" for name in ("1", "2"))
    assert not one.samefile(other)
    assert one.read_bytes() == other.read_bytes()
    # And written from memory where the file is gone.
    monkeypatch.undo()
    one.unlink()
    first.save(tmp_path / "3")
    assert (tmp_path / "3" / "backbone.safetensors").read_bytes() == other.read_bytes()


def test_an_interrupted_look_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: Backbone
) -> None:
    cache = own_features(monkeypatch, tmp_path / "cache")
    task, settings = photo_task(tmp_path / "photos", FIRST, 60), quick()
    seen: list[int] = []
    run = OnnxEngine.run

    def counted(self: OnnxEngine, images: torch.Tensor) -> torch.Tensor:
        seen.append(int((images.flatten(1).sum(1) > 0).sum()))
        return run(self, images)

    monkeypatch.setattr(OnnxEngine, "run", counted)
    with pytest.raises(Interrupted, match="stopped while looking"):
        learn(task, settings=settings, backbone=backbone, session=Session(stopping=lambda: len(seen) >= 3))
    before = sum(seen)
    assert 0 < before < 2 * len(task.train)
    assert list((cache / "features").glob("*/features.f16"))
    interrupted = learn(task, settings=settings, backbone=backbone)
    assert sum(seen) == 2 * len(task.train) + len(task.test)
    own_features(monkeypatch, tmp_path / "other")
    assert_equal_bits(interrupted, learn(task, settings=settings, backbone=backbone))


def kept_features() -> list[Path]:
    return list(features_folder().glob("*/features.f16"))


def test_features_are_removed_when_learning_ends_unless_they_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: Backbone
) -> None:
    own_features(monkeypatch, tmp_path / "cache")
    task = photo_task(tmp_path / "photos", FIRST, 4)
    during: list[int] = []
    session = Session(on_tick=lambda tick: during.append(len(kept_features())) if tick.stage == "solver" else None)
    learn(task, settings=quick(), backbone=backbone, session=session)
    assert set(during) == {2}
    assert kept_features() == []
    seen = look(task, backbone, 1, "crop")
    learn(seen, settings=quick(), backbone=backbone)
    assert len(kept_features()) == 2


def test_unreadable_photos_are_listed_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: Backbone
) -> None:
    """They were damaged once they had been found whole."""
    own_features(monkeypatch, tmp_path / "cache")
    task = photo_task(tmp_path / "photos", FIRST, 40)
    names = [tmp_path / "photos" / "train" / thing / f"{number}.jpg" for thing in FIRST for number in (0, 20, 39)]
    for file in names:
        file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(InputError, match=r"6 of 80 images cannot be read") as caught:
        learn(task, settings=quick(), backbone=backbone)
    for file in names:
        assert str(Path(file.parent.name) / file.name) in str(caught.value)


def test_looking_leaves_the_process_as_it_was(tmp_path: Path, backbone: Backbone) -> None:
    """Threads that decode silence warnings, and compute in one thread each: for themselves alone."""
    task = photo_task(tmp_path, FIRST, 40)
    threads, filters = torch.get_num_threads(), list(warnings.filters)
    torch.set_num_threads(2)
    found: list[int] = []
    try:
        look(task, backbone, 0, "crop")
        later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert torch.get_num_threads() == 2
        assert found == [2]
        assert list(warnings.filters) == filters
    finally:
        torch.set_num_threads(threads)


def test_as_many_threads_as_one_see_the_same(backbone: Backbone) -> None:
    task, threads = arrays(FIRST, 30), torch.get_num_threads()
    seen = []
    for count in (1, 3):
        torch.set_num_threads(count)
        try:
            seen.append(look_at(task.train, backbone, 1, "crop", keep=False).features)
        finally:
            torch.set_num_threads(threads)
    assert seen[0] is not None
    assert seen[1] is not None
    assert np.array_equal(seen[0], seen[1])


def equal_photos(classes: Sequence[str]) -> Task:
    task = arrays(tuple(classes), 6)
    same = task.train.images.copy()
    same[6:] = same[:6]
    return Task("equal", task.classes, type(task.train)(same, task.train.labels), task.test)


def test_the_same_photos_in_two_classes(backbone: Backbone) -> None:
    """Nobody can tell them apart: both are as probable, and nothing fails."""
    scholar = learn(equal_photos(FIRST), settings=quick("ncm"), backbone=backbone)
    assert len(set(memories(scholar))) == 1
    probabilities = scholar.predict_proba([photograph("box", 1)])
    assert probabilities[0].tolist() == pytest.approx([0.5, 0.5], abs=0.2)


def test_the_same_task_learned_twice(tasks: tuple[Task, Task]) -> None:
    scholar = learn(tasks[0], learn(tasks[0], settings=quick("lda")))
    assert scholar.classes == FIRST
    assert len(scholar.conditions) == 4
    assert accuracy(scholar, tasks[0]) == 1


def test_a_hostile_memory_is_refused(both: Scholar, tmp_path: Path) -> None:
    from scholars.storage.files import read_tensors, write_tensors
    from scholars.storage.scholar_folder import _digest

    both.save(tmp_path / "a")
    file, description = tmp_path / "a" / "generator.safetensors", tmp_path / "a" / "scholar.json"
    tensors, notes = read_tensors(file)
    tensors["parts.0.mean"][0] = float("nan")
    write_tensors(file, tensors, notes)
    document = json.loads(description.read_text())
    document["sha256"]["generator.safetensors"] = _digest(file)
    description.write_text(json.dumps(document))
    with pytest.raises(InputError, match="memory 0 holds numbers that are not finite"):
        Scholar.load(tmp_path / "a")


def test_pictures_are_seen_upright(tmp_path: Path, backbone: Backbone) -> None:
    """A photo that a camera turned is seen as people see it."""
    plain, turned = photograph("leaf", 3), photograph("leaf", 3).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    for name, picture, notes in (("plain", plain, Image.Exif()), ("turned", turned, exif)):
        for part in ("train", "test"):
            folder = tmp_path / name / part / "leaf"
            folder.mkdir(parents=True)
            (picture if part == "train" else photograph("leaf", 4)).save(folder / "0.png", exif=notes)
    one, other = (look(open_task(tmp_path / name, decode=False), backbone, 0, "crop") for name in ("plain", "turned"))
    assert one.train.features is not None
    assert other.train.features is not None
    assert np.array_equal(one.train.features, other.train.features)


@pytest.mark.parametrize(("before", "after"), [("mixture", "flow"), ("flow", "mixture")])
def test_memories_and_a_trained_generator_do_not_become_each_other(
    tasks: tuple[Task, Task], before: str, after: str
) -> None:
    """The earlier classes would be forgotten without a word."""
    short = {"generator.steps": 2}
    kinds = {kind: quick(**{"generator.kind": kind, **(short if kind == "flow" else {})}) for kind in (before, after)}
    one = learn(tasks[0], settings=kinds[before])
    with pytest.raises(InputError, match=f"generator.kind={after}: this scholar's is {before}"):
        learn(tasks[1], one, settings=kinds[after])


def test_a_scholar_without_memories_cannot_dream_of_what_it_knows(tasks: tuple[Task, Task]) -> None:
    stored = learn(tasks[0], settings=quick(), past=[])
    with pytest.raises(InputError, match="it was trained on stored data, and cannot dream"):
        learn(tasks[1], stored)
