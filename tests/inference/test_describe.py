"""What `scholars inspect` says of a scholar."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from photographs import photo_task, quick
from rich.console import Console

from scholars.evaluation.accuracy import evaluate
from scholars.inference.describe import describe, lineage_tree
from scholars.learning.algorithm import learn
from scholars.learning.audit import audit
from scholars.scholar import Scholar
from scholars.storage.records import LineageRecord
from scholars.tasks.task import Task


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Scholar:
    """A scholar with a backbone, which learned 8 photos of each of two classes, then 6 of each of two, one known."""
    home = tmp_path_factory.mktemp("photos")
    first = learn(photo_task(home / "a", ("disc", "box"), 8), settings=quick(backbone__views=1, solver__steps=5))
    settings = quick(backbone__views=2, solver__steps=5, audit__dreams=20)
    task = photo_task(home / "b", ("box", "leaf"), 6, first=50)
    scholar = learn(task, first, settings=settings)
    return scholar.with_audit(audit(scholar, [task]))


def shown(scholar: Scholar, folder: Path) -> str:
    console = Console(width=220, record=True, file=io.StringIO())
    console.print(lineage_tree(scholar, "s", describe(scholar, folder)))
    return console.export_text()


def test_a_backbone_and_memories_are_described(seeing: Scholar, tmp_path: Path) -> None:
    seeing.save(tmp_path)
    found = describe(Scholar.load(tmp_path), tmp_path)
    assert seeing.backbone
    assert found["backbone"].items() >= seeing.backbone.record.model_dump(mode="json").items()
    assert {key: found["backbone"][key] for key in ("name", "size", "features", "licence", "engine")} == {
        "name": "efficientnet-lite0",
        "size": 64,
        "features": 1280,
        "licence": "Apache-2.0",
        "engine": seeing.lineage[-1].engine,
    }
    assert found["privacy"] is None
    assert found["image"] == {"size": 64, "channels": 3, "fit": "crop"}
    memories = found["memories"]
    assert (memories["count"], memories["photos"]) == (4, 2 * 8 + 2 * 6)
    # Each task's photos in its own number of views, the plain one included.
    assert memories["feature_bytes"] == (16 * 2 + 12 * 3) * 1280 * 2
    assert [(one["class"], one["photos"], one["components"]) for one in memories["classes"]] == [
        ("box", 8, 1),
        ("disc", 8, 1),
        ("box", 6, 1),
        ("leaf", 6, 1),
    ]
    assert sum(one["bytes"] for one in memories["classes"]) == memories["bytes"]
    assert memories["bytes"] == pytest.approx(found["bytes"]["generator.safetensors"], rel=0.05)


def test_the_tree_shows_them(seeing: Scholar, tmp_path: Path) -> None:
    text = shown(seeing, tmp_path)
    assert "backbone: efficientnet-lite0 (licence: Apache-2.0), 1,280 features of 64 x 64 pixels, run by" in text
    assert "memories: 4 of 28 photos, 1 Gaussian each: " in text
    assert "where all features would take 0.2 MiB" in text
    assert "generator" not in text.partition("lineage")[0].replace("generation", "")
    assert "its solver, trained on dreams only, is right on" in text
    assert "may be copies of features of training images" in text


def test_the_mean_over_classes_is_shown_where_it_is_another_figure(one: Scholar, low: Task, tmp_path: Path) -> None:
    """Of the first digit all test images, of the others five; and a record from before such means were kept."""
    assert one.lineage[0].test_counts == tuple(np.bincount(low.test.labels).tolist())
    assert one.lineage[0].mean_class_accuracy == evaluate(one, low).mean_class_accuracy
    rows = [np.flatnonzero(low.test.labels == label)[: None if label == 0 else 5] for label in range(5)]
    few = replace(low, name="few", test=low.test[np.concatenate(rows)])
    record = one.lineage[0].model_copy(update={"accuracy": 0.9, "mean_class_accuracy": 0.5})
    known = replace(one, lineage=(record,))
    known.save(tmp_path)
    found = describe(known, tmp_path, [few])
    expected = evaluate(one, few)
    assert found["accuracy_now"] == {"few": expected.accuracy}
    assert found["mean_class_accuracy_now"] == {"few": expected.mean_class_accuracy}
    assert found["lineage"][0]["mean_class_accuracy"] == 0.5
    assert "90.0 % (mean over classes 50.0 %) right on its test part when learned" in shown(known, tmp_path)
    old = LineageRecord.model_validate(record.model_dump(exclude={"mean_class_accuracy", "test_counts"}))
    assert (old.mean_class_accuracy, old.test_counts, old.is_uneven) == (None, (), False)
    assert "90.0 % right on its test part when learned" in shown(replace(one, lineage=(old,)), tmp_path)


def test_brackets_in_the_name_of_a_backbone_are_shown_as_they_are(seeing: Scholar, tmp_path: Path) -> None:
    assert seeing.backbone
    record = seeing.backbone.record.model_copy(update={"name": "[red]"})
    assert "[red]" in shown(replace(seeing, backbone=replace(seeing.backbone, record=record)), tmp_path)


def test_a_scholar_of_pixels_has_neither(one: Scholar, tmp_path: Path) -> None:
    found = describe(one, tmp_path)
    assert (found["backbone"], found["privacy"], found["memories"]) == (None, None, None)
    text = shown(one, tmp_path)
    assert "backbone" not in text
    assert "generator: flow, " in text


def test_a_merged_lineage_is_a_tree(one: Scholar, tmp_path: Path) -> None:
    """`base` was learned, then `left` by one scholar and `right` by another; both were merged, and learned `more`."""
    one.save(tmp_path)

    def record(name: str, *parents: int, kind: str = "learn") -> LineageRecord:
        return one.lineage[0].model_copy(update={"name": name, "parents": parents, "kind": kind})

    merged = record("merged 2 scholars", 1, 2, kind="merge")
    lineage = (record("base"), record("left", 0), record("right", 0), merged, record("more", 3))
    lines = shown(replace(one, lineage=lineage), tmp_path).splitlines()
    known = ("scholar 1", "scholar 2", *(f"{number}  " for number in range(1, 5)))
    entries = [line.strip("\u2502\u251c\u2514\u2500 ") for line in lines]
    tree = [entry.split(", 20")[0].split(", learned")[0] for entry in entries if entry.startswith(known)]
    assert tree == [
        "scholar 1 of 2",
        "1  base",
        "2  left",
        "scholar 2 of 2",
        "1  base, as above",
        "2  right",
        "3  merged 2 scholars",
        "4  more",
    ]
    assert sum("training and" in line for line in lines) == 4, "of each task, once"
