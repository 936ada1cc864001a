"""Images as files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

from scholars.errors import InputError
from scholars.storage import files
from scholars.storage.image_files import write_image_folder
from scholars.tasks.open import open_task


@pytest.mark.parametrize("channels", [1, 3])
def test_imagefolder_reads_what_was_written(tmp_path: Path, channels: int) -> None:
    images = torch.randint(0, 256, (30, channels, 12, 12), dtype=torch.uint8)
    labels = torch.arange(30) % 3
    batches = [(images[:20], labels[:20]), (images[20:], labels[20:])]
    assert write_image_folder(tmp_path / "out", batches, ["ant", "bee", "cat"]) == 30
    folder = ImageFolder(str(tmp_path / "out"))
    assert folder.classes == ["ant", "bee", "cat"]
    assert [label for _, label in folder.samples] == [0] * 10 + [1] * 10 + [2] * 10
    assert torch.equal(pil_to_tensor(folder[0][0])[:channels], images[0])
    task = open_task(tmp_path / "out")
    assert len(task.train) + len(task.test) == 30
    assert task.train.images.shape[1] == channels


def test_writing_again_replaces(tmp_path: Path) -> None:
    for count in (5, 2):
        write_image_folder(
            tmp_path / "out",
            [(torch.zeros(count, 1, 8, 8, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64))],
            ["a"],
        )
    assert len(list((tmp_path / "out" / "a").iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_private_user_s_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_UMASK", 0o077)  # as it is where a process begins so
    before = os.umask(0o077)
    try:
        write_image_folder(
            tmp_path / "out", [(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))], ["a"]
        )
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "out", tmp_path / "out" / "a")] == [0o700, 0o700]


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.arange(2)
        raise InputError("it hardly ever dreams")

    with pytest.raises(InputError, match="hardly ever"):
        write_image_folder(tmp_path / "out", broken(), ["a", "b"])
    assert list(tmp_path.iterdir()) == []


def test_class_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    names = ["../up", "/etc", "..", "a/b"]
    write_image_folder(tmp_path / "x" / "out", [(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4))], names)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["out"]
    assert len(list((tmp_path / "x" / "out").rglob("*.png"))) == 4


def test_classes_that_some_systems_take_for_one_are_apart_and_come_back(tmp_path: Path) -> None:
    names = ("Cat", "a/b", "aux", "cat", "end.")
    images, labels = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(10, 1, 8, 8), torch.arange(10) % 5
    write_image_folder(tmp_path / "out", [(images, labels)], names)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["%43at", "%61ux", "a%2Fb", "cat", "end%2E"]
    task = open_task(tmp_path / "out")
    assert sorted(task.classes) == sorted(names)
    for part in (task.train, task.test):
        for image, label in zip(part.images, part.labels, strict=True):
            assert task.classes[label] == names[int(image[0, 0, 0]) % 5]
    assert "the folder a%2Fb is of the class a/b: so are names of classes written" in task.notes
