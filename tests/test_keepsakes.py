from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scholars import store
from scholars.errors import InputError
from scholars.evaluate import judge
from scholars.keepsakes import keep_judged, keep_samples, read_judged, read_samples
from scholars.scholar import Scholar
from scholars.tasks import Task


def test_samples_come_back_class_by_class(low: Task, tmp_path: Path) -> None:
    keep_samples(tmp_path, [low])
    samples = read_samples(tmp_path)[low.name]
    assert samples.classes == tuple(name for name in "01234" for _ in range(8))
    first = low.test.tensor[int((low.test.labels == 0).argmax())]
    assert torch.equal(samples.images[0], first)


def test_what_was_judged_comes_back(one: Scholar, low: Task, tmp_path: Path) -> None:
    assert read_judged(tmp_path, 0, "replay") is None
    judged = judge(one, low)
    keep_judged(tmp_path, 0, "replay", judged, one.classes)
    kept = read_judged(tmp_path, 0, "replay")
    assert kept is not None
    assert kept[1] == one.classes
    assert all(torch.equal(value, judged.tensors()[name]) for name, value in kept[0].tensors().items())


def test_damage_is_found(one: Scholar, low: Task, tmp_path: Path) -> None:
    path = tmp_path / "judged" / "0-replay.safetensors"
    store.write_tensors(path, {"confusion": torch.zeros(2, 2)})
    with pytest.raises(InputError, match="does not hold what was judged"):
        read_judged(tmp_path, 0, "replay")
    store.write_tensors(path, judge(one, low).tensors(), {"classes": "[1"})
    with pytest.raises(InputError, match="names of 5 images or classes"):
        read_judged(tmp_path, 0, "replay")
