"""What a scholar can do, in memory and from disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import scholars
from scholars.errors import InputError
from scholars.evaluation.accuracy import accuracy
from scholars.learning.algorithm import learn
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings
from scholars.tasks.decoding import decode_squares, read_file
from scholars.tasks.resize import convert_images
from scholars.tasks.task import Task
from scholars.training.batches import Batch


def test_a_round_trip_changes_nothing(two: Scholar, high: Task, tmp_path: Path) -> None:
    two.save(tmp_path / "scholar")
    loaded = Scholar.load(tmp_path / "scholar")
    assert loaded.classes == two.classes
    assert loaded.lineage == two.lineage
    assert loaded.generation == 2
    assert np.array_equal(loaded.predict_proba(high.test.images), two.predict_proba(high.test.images))
    assert torch.equal(loaded.dream(20, seed=3)[0], two.dream(20, seed=3)[0])


def test_learning_goes_on_from_disk_exactly(one: Scholar, high: Task, two: Scholar, tmp_path: Path) -> None:
    one.save(tmp_path / "scholar")
    again = learn(high, Scholar.load(tmp_path / "scholar"))
    for part in ("solver", "generator"):
        a, b = getattr(again, part).state_dict(), getattr(two, part).state_dict()
        assert all(torch.equal(a[name], b[name]) for name in b)


def test_predict_takes_arrays_tensors_and_pil_images_of_any_size(one: Scholar, low: Task) -> None:
    images = low.test.images[:12]
    names = one.predict(images)
    assert names == one.predict(torch.from_numpy(images))
    assert names == one.predict([Image.fromarray(image[0]) for image in images])
    assert len(one.predict([Image.new("RGBA", (50, 30)), Image.new("L", (9, 20))])) == 2
    assert one.predict([]) == []
    truth = [low.classes[i] for i in low.test.labels[:12]]
    assert one.score(images, truth) == np.mean([a == b for a, b in zip(names, truth, strict=True)])


def test_pictures_are_seen_as_their_files_are(one: Scholar, tmp_path: Path) -> None:
    """Transparency is paper, 16 bits are scaled, a turned camera is turned back: by predict as by learn."""
    drawn = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)
    clear = Image.merge("LA", (Image.fromarray(drawn), Image.fromarray((drawn > 100).astype(np.uint8) * 255)))
    deep = Image.fromarray(drawn.astype(np.uint16) * 100)
    turned = Image.Exif()
    turned[0x0112] = 6
    clear.save(tmp_path / "clear.png")
    deep.save(tmp_path / "deep.png")
    Image.fromarray(drawn).save(tmp_path / "turned.png", exif=turned)
    files = sorted(tmp_path.iterdir())
    read = [
        found
        for found in decode_squares(read_file, [str(file) for file in files], 16, "crop")
        if not isinstance(found, str)
    ]
    opened = [Image.open(file) for file in files]
    expected = np.concatenate([convert_images(seen[None], 1, 16, "crop") for seen in read])
    assert np.array_equal(convert_images(opened, 1, 16, "crop"), expected)
    with pytest.raises(InputError, match="image 1: has values of -5"):
        one.predict([opened[0], Image.fromarray(np.full((4, 4), -5, np.int32))])


def test_probabilities_sum_to_one_and_follow_among(two: Scholar, low: Task) -> None:
    everything = two.predict_proba(low.test.images)
    assert everything.shape == (len(low.test), 10)
    assert np.allclose(everything.sum(1), 1, atol=1e-5)
    among = two.predict_proba(low.test.images, among="digits")
    assert np.allclose(among, everything, atol=1e-5)  # both of its tasks have that name: it was learned again
    first, second = two.lineage
    renamed = replace(two, lineage=(first.model_copy(update={"name": "low"}), second))
    among = renamed.predict_proba(low.test.images, among="low")
    assert np.allclose(among[:, :5], everything[:, :5] / everything[:, :5].sum(1, keepdims=True), atol=1e-5)
    assert not among[:, 5:].any()
    with pytest.raises(InputError, match="never learned a task 'nist'"):
        two.predict(low.test.images, among="nist")


def test_among_what_has_hardly_any_probability_left(two: Scholar) -> None:
    """Three logits of 10 classes: 5 and 6 are 1e-20 and 3e-20; then both are 0 in float32."""
    little = torch.zeros(2, 10)
    little[:, 0] = 1
    little[0, 5:7] = torch.tensor([1e-20, 3e-20])
    only = two.restrict_to(little, ["5", "6"])
    assert torch.allclose(only[:, 5:7], torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    assert only.sum(1).tolist() == pytest.approx([1, 1])


def test_wrong_images_are_refused(one: Scholar) -> None:
    with pytest.raises(InputError, match="uint8"):
        one.predict(np.zeros((2, 1, 8, 8), np.float32))
    with pytest.raises(InputError, match=r"\[2, 8, 8, 3\]"):
        one.predict(np.zeros((2, 8, 8, 3), np.uint8))


def test_what_is_no_list_of_images_is_refused_with_what_to_do(one: Scholar, low: Task, tmp_path: Path) -> None:
    picture = Image.new("L", (16, 16))
    cases: list[tuple[Any, str]] = [
        (picture, "not a Image: put a picture into a list"),
        ("a.png", "not a str: put"),
        (tmp_path / "a.png", "Path: put"),
        (["a.png"], "image 0: is a str"),
        ([picture, tmp_path], "image 1: is a .*Path"),
        (np.zeros((2, 16, 16, 3), dtype=np.uint8), r"give images\.transpose\(0, 3, 1, 2\)"),
    ]
    for wrong, said in cases:
        with pytest.raises(InputError, match=said):
            one.predict(wrong)
    name: Any = "digits"
    with pytest.raises(InputError, match=r"a task is learned, not a str: open it, by scholars\.open_task"):
        learn(name)


def test_scores_are_of_class_names(one: Scholar, low: Task) -> None:
    names = [low.classes[label] for label in low.test.labels]
    assert one.score(low.test.images, names) == pytest.approx(accuracy(one, low))
    others: list[Any] = [low.test.labels, ["nine"] * len(names)]
    for wrong in others:
        with pytest.raises(InputError, match=r"is no class name of this scholar\. .*Known: 0, 1"):
            one.score(low.test.images, wrong)


def test_what_it_is_in_a_line(one: Scholar, low: Task) -> None:
    assert repr(one) == "<Scholar, generation 1: 0, 1, 2, 3, 4; images [1, 16, 16]>"
    counts = len(low.train), len(low.test)
    assert repr(low) == (
        f"<Task 'digits': 0, 1, 2, 3, 4; train <{counts[0]} images [1, 8, 8]>, test <{counts[1]} images [1, 8, 8]>>"
    )
    assert {"Scholar", "learn", "open_task"} <= set(dir(scholars))


def test_dreams_repeat_and_fewer_are_the_first_of_more(one: Scholar) -> None:
    images, targets = one.dream(600, seed=4)
    assert images.shape == (600, 1, 16, 16)
    assert images.dtype == torch.uint8
    assert targets.shape == (600, 5)
    assert torch.equal(one.dream(510, seed=4)[0], images[:510])
    assert not torch.equal(one.dream(600, seed=5)[0], images)
    with pytest.raises(InputError, match="one or more"):
        one.dream(0)


def test_dreams_of_one_class(one: Scholar) -> None:
    """The tiny solver sees few classes in the tiny generator's dreams: take one that it does see."""
    _, targets = one.dream(500)
    seen = one.classes[int(targets.argmax(1).mode().values)]
    images, targets = one.dream(40, of=seen, seed=1)
    assert len(images) == 40
    assert {one.classes[i] for i in targets.argmax(1).tolist()} == {seen}
    assert torch.equal(one.dream(10, of=seen, seed=1)[0], images[:10])
    with pytest.raises(InputError, match="knows no class 'x'"):
        one.dream(3, of="x")


def test_a_scholar_elsewhere_is_another_and_this_one_stays(one: Scholar) -> None:
    assert one.on(one.settings.compute) is one
    there = one.on(ComputeSettings(device="cpu", precision="32-true"))
    assert there.settings.compute.precision == "32-true"
    assert one.settings.compute.precision == "auto"
    assert there.generator
    assert one.generator
    mine = [*one.solver.parameters(), *one.generator.parameters()]
    theirs = [*there.solver.parameters(), *there.generator.parameters()]
    assert all(torch.equal(a, b) and a is not b for a, b in zip(mine, theirs, strict=True))


def test_conditions_are_pairs_of_task_and_class(one: Scholar) -> None:
    first = one.lineage[0]
    lineage = (first.model_copy(update={"classes": ("a", "b")}), first.model_copy(update={"classes": ("b", "c")}))
    scholar = replace(one, classes=("a", "b", "c"), lineage=lineage)
    assert scholar.conditions == ((0, 0), (0, 1), (1, 1), (1, 2))


def test_a_rare_class_is_waited_for(one: Scholar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large images are dreamt few at a time: that none of the first three shows a class says nothing."""
    monkeypatch.setattr(Scholar, "chunk_size", 3)
    order = iter(range(1000))

    def sample(conditions: torch.Tensor) -> Batch:
        which = torch.tensor([int(next(order) % 30 == 29) for _ in conditions])
        targets = torch.nn.functional.one_hot(which, 5).float()
        return Batch(torch.zeros(len(which), 1, 16, 16, dtype=torch.uint8), targets, conditions, torch.ones(len(which)))

    rare = replace(one)
    object.__setattr__(rare, "sample", sample)
    assert len(rare.dream(4, of="1")[0]) == 4
    with pytest.raises(InputError, match=r"hardly ever dreams of '2': 0 of \d+ times"):
        rare.dream(4, of="2")


def test_through_a_link_what_it_leads_to_is_replaced(one: Scholar, two: Scholar, tmp_path: Path) -> None:
    one.save(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    two.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert Scholar.load(tmp_path / "real").generation == 2
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link"}


def test_a_scholar_without_generator_says_so(low: Task, one: Scholar, tmp_path: Path) -> None:
    solver_only = learn(low, settings=one.settings, past=[])
    solver_only.save(tmp_path / "scholar")
    with pytest.raises(InputError, match="no generator"):
        Scholar.load(tmp_path / "scholar").dream(3)


def test_a_description_that_does_not_fit_the_weights_is_refused(one: Scholar, tmp_path: Path) -> None:
    one.save(tmp_path / "scholar")
    path = tmp_path / "scholar" / "scholar.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "classes": [*document["classes"], "more"]}))
    with pytest.raises(InputError, match="do not fit the description"):
        Scholar.load(tmp_path / "scholar")
    path.write_text(json.dumps({**document, "lineage": []}))
    with pytest.raises(InputError, match="lineage: "):
        Scholar.load(tmp_path / "scholar")
    path.write_text(json.dumps({**document, "lineage": [{**document["lineage"][0], "accuracy": "high"}]}))
    with pytest.raises(InputError, match=r"lineage\.0\.accuracy: "):
        Scholar.load(tmp_path / "scholar")


def test_accuracy_is_of_the_real_test_part(one: Scholar, low: Task) -> None:
    truth = [low.classes[i] for i in low.test.labels]
    assert accuracy(one, low) == pytest.approx(one.score(low.test.images, truth))
    assert one.lineage[0].accuracy == accuracy(one, low)


def test_accuracy_of_an_unknown_class_is_refused(one: Scholar, high: Task) -> None:
    with pytest.raises(InputError, match="knows no class '5'"):
        accuracy(one, high)
