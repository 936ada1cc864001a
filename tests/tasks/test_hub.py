"""Tasks by way of Hugging Face's library, which reads local folders as it reads the hub."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from PIL import Image

from scholars.errors import InputError, ScholarsWarning
from scholars.tasks.open import open_task

from .image_folders import levels

datasets = pytest.importorskip("datasets", reason="the extra 'hf' is not installed")


def png(level: int) -> dict[str, bytes | None]:
    file = io.BytesIO()
    Image.new("L", (8, 8), level).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def stored(folder: Path, parts: Mapping[str, Mapping[str, Sequence[int]]], **features: object) -> str:
    """A data set as people publish it: one parquet file a split."""
    for part, columns in parts.items():
        data = {"picture": [png(level) for level in columns["level"]], **columns}
        kinds = {"picture": datasets.Image(), **{name: datasets.Value("int64") for name in columns}, **features}
        (folder / "data").mkdir(parents=True, exist_ok=True)
        found = datasets.Dataset.from_dict(data, features=datasets.Features(kinds))
        found.to_parquet(str(folder / "data" / f"{part}-00000-of-00001.parquet"))
    return f"hf:{folder}"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_columns_are_found_by_their_types(tmp_path: Path) -> None:
    names = datasets.ClassLabel(names=["cat", "cow", "dog"])  # nobody took a picture of a cow
    parts = {"train": {"level": [0, 1, 2], "animal": [2, 0, 2]}, "test": {"level": [8, 9], "animal": [0, 2]}}
    task = open_task(stored(tmp_path / "pets", parts, animal=names))
    assert (task.name, task.classes) == ("pets", ("cat", "dog"))
    assert levels(task, "train") == [(0, "dog"), (1, "cat"), (2, "dog")]
    assert levels(task, "test") == [(8, "cat"), (9, "dog")]
    assert levels(open_task(f"hf:{tmp_path}/pets", classes=("dog",)), "test") == [(9, "dog")]


def test_one_split_has_a_part_held_out(tmp_path: Path) -> None:
    source = stored(tmp_path / "pets", {"train": {"level": list(range(20)), "label": [n % 2 + 9 for n in range(20)]}})
    task = open_task(source)
    assert task.classes == ("9", "10")
    assert sorted(levels(task, "train") + levels(task, "test")) == [(n, str(n % 2 + 9)) for n in range(20)]


def test_columns_and_splits_are_chosen(tmp_path: Path) -> None:
    columns = {"level": [0, 1, 2, 3], "fine": [0, 1, 2, 3], "coarse": [0, 0, 1, 1]}
    kinds = {"fine": datasets.ClassLabel(names=list("wxyz")), "coarse": datasets.ClassLabel(names=list("ab"))}
    source = stored(tmp_path / "pets", {"train": columns, "validation": columns, "extra": columns}, **kinds)
    with pytest.raises(InputError, match=r"which column is the label\? these could be: fine, coarse"):
        open_task(source)
    with pytest.warns(ScholarsWarning, match="4 images, or near-duplicates of them, are in both parts"):
        task = open_task(f"{source}?label=coarse&test=extra")
    assert levels(task, "test") == [(0, "a"), (1, "a"), (2, "b"), (3, "b")]
    for wrong, said in [
        ("label=corse", "no column 'corse'. Did you mean 'coarse'"),
        ("label=coarse&test=exra", "no split 'exra'"),
        ("lable=coarse", "no option 'lable'"),
    ]:
        with pytest.raises(InputError, match=said):
            open_task(f"{source}?{wrong}")


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    parts = {"train": {"level": [0, 1], "label": [0, 1]}, "test": {"level": [2, 3], "label": [-1, -1]}}
    with pytest.raises(InputError, match="split 'test' has images without a label"):
        open_task(stored(tmp_path / "pets", parts))


def test_no_network_and_no_such_name_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"cannot load it: .*Check the name and the network"):
        open_task("hf:nobody/nothing-of-this-name")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install '\.\[hf\]'"):
        open_task("hf:ylecun/mnist")
