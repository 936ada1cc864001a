"""An ``.npz`` file is read as it says, or refused with what to do."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scholars.errors import InputError
from scholars.tasks.npz import read_npz

X = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)
Y = np.arange(3)
GOOD: dict[str, Any] = {"x_train": X, "y_train": Y, "x_test": X[:2], "y_test": Y[:2]}


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "shapes.npz"
    np.savez(path, **arrays)
    return path


def test_grey_images(tmp_path: Path) -> None:
    task = read_npz(save(tmp_path, **GOOD, ignored=np.array([object()])))
    assert (task.name, task.classes) == ("shapes", ("0", "1", "2"))
    assert np.array_equal(task.train.images, X[:, np.newaxis])
    assert np.array_equal(task.test.images, X[:2, np.newaxis])
    assert task.test.labels.tolist() == [0, 1]


def test_colour_images_and_labels_in_a_column(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    column = Y.astype(np.uint8)[:, np.newaxis]
    task = read_npz(save(tmp_path, x_train=colour, y_train=column, x_test=colour, y_test=column))
    assert task.train.images.shape == (3, 3, 4, 5)
    assert np.array_equal(task.train.images[:, 2], colour[..., 2])
    assert task.train.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("names", [np.array(["x", "y", "z"]), np.array([b"x", b"y", b"z"])])
def test_class_names_of_the_file_come_first(tmp_path: Path, names: np.ndarray) -> None:
    path = save(tmp_path, **GOOD, class_names=names)
    assert read_npz(path, name="n", class_names=("a", "b", "c")).classes == ("x", "y", "z")


def test_class_names_and_name_of_the_caller(tmp_path: Path) -> None:
    task = read_npz(save(tmp_path, **GOOD), name="n", class_names=("a", "b", "c"))
    assert (task.name, task.classes) == ("n", ("a", "b", "c"))


def test_missing_keys_are_named_and_so_are_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"y_train, x_test, y_test missing \(there is: x_train, images\)"):
        read_npz(save(tmp_path, x_train=X, images=X))


@pytest.mark.parametrize(
    ("key", "array", "said"),
    [
        ("x_train", X / 255, r"float64.*\(x \* 255\)\.round\(\)\.astype\(np\.uint8\)"),
        ("x_train", X * 1.0, r"bring the values to 0\.\.255"),
        ("x_train", np.full((3, 4, 5), np.nan), r"bring the values to 0\.\.255"),
        ("x_train", X.astype(np.int64), "must be uint8"),
        ("x_train", np.array([X, None], dtype=object), "x_train is an array of Python objects"),
        ("y_train", np.array([0, "a", None], dtype=object), "y_train is an array of Python objects"),
        ("x_train", X.reshape(3, 20), r"uint8 \[3, 20\]; images must be \[N, H, W\]"),
        ("x_train", np.zeros((3, 3, 8, 8), dtype=np.uint8), r"x\.transpose\(0, 2, 3, 1\)"),
        ("x_train", np.zeros((3, 8, 8, 4), dtype=np.uint8), "with 1 or 3 channels"),
        ("x_train", X[:2], "2 images in x_train but 3 labels in y_train"),
        ("x_train", X[:0], "holds no image"),
        ("y_train", Y[:0], "holds no label"),
        ("x_test", np.zeros((2, 5, 5), dtype=np.uint8), "x_train has images of 4x5x1 and x_test of 5x5x1"),
        ("y_train", Y - 1, "from -1 to 1; labels count from 0"),
        ("y_train", np.array([0, 1, 2**63], dtype=np.uint64), "labels count from 0"),
        ("y_train", np.array([0, 1, 10**9]), "without large gaps"),
        ("y_train", Y * 1.0, "must be integers"),
        ("y_train", np.eye(3, dtype=np.int64), r"y\.argmax\(axis=1\)"),
        ("y_train", np.zeros((3, 1, 1), dtype=np.int64), "one integer for each image"),
        ("class_names", np.array(["a", "b"]), r"reach up to 2, but there are only 2 class names \(a, b\)"),
        ("class_names", np.array(["a", "b", "a"]), "repeats a"),
        ("class_names", np.array(["a", " ", "c"]), "empty name at place 1"),
        ("class_names", np.array(3), "must be a list of text"),
        ("class_names", np.array([b"\xff", b"b", b"c"]), "not plain text"),
        ("class_names", np.array(["a", "b", None], dtype=object), "class_names is an array of Python objects"),
    ],
)
def test_refused(tmp_path: Path, key: str, array: np.ndarray, said: str) -> None:
    path = save(tmp_path, **{**GOOD, key: array})
    with pytest.raises(InputError, match=said) as caught, warnings.catch_warnings():
        warnings.simplefilter("error")
        read_npz(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"some text", b"\x80\x04K\x01.", b"PK\x03\x04"])
def test_not_an_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not an \.npz file, or is cut off"):
        read_npz(path)


def test_an_archive_that_unpacks_to_the_end_at_once(tmp_path: Path) -> None:
    path = tmp_path / "packed.npz"
    with zipfile.ZipFile(save(tmp_path, **GOOD)) as plain, zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(InputError, match=r"packed\.npz: .*another method than deflate"):
        read_npz(path)


def test_a_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(InputError, match="holds a single array"):
        read_npz((tmp_path / "a.npy").rename(tmp_path / "a.npz"))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_npz(tmp_path / "a.npz")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damage_is_refused_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever byte is wrong and wherever the file ends: nothing else than InputError comes out."""
    content = bytearray(save(tmp_path, **GOOD).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.npz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        task = read_npz(path)
    except InputError:
        return
    assert len(task.train) == 3
