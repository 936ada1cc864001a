"""Known data sets: where they are looked for, and what happens where they are not."""

from __future__ import annotations

import bz2
import os
import re
import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import platformdirs
import pytest
import scipy.io
from torchvision import datasets

from scholars.errors import InputError
from scholars.tasks.torchvision_sets import TORCHVISION_SETS, open_torchvision_set

RNG = np.random.default_rng(0)
DIGITS = tuple("0123456789")

# Read before the tests clear it.
REAL_DATA = Path(os.environ.get("SCHOLARS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


@pytest.fixture(autouse=True)
def requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """No network, no data directory in the environment, and a user's cache that does not exist; what was asked for."""
    asked: list[str] = []

    def refuse(request: Any, *_: Any, **__: Any) -> NoReturn:
        asked.append(request if isinstance(request, str) else request.full_url)
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.delenv("SCHOLARS_DATA", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    yield asked


def write_idx(path: Path, array: np.ndarray) -> None:
    """A file as MNIST's: two zeros, the type (8: bytes), the number of dimensions, the shape, the values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_mnist(raw: Path, count: int = 3) -> np.ndarray:
    """The four files of MNIST, with labels 0, 1 ...; returns the training images."""
    images: np.ndarray = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(count))
    return images


def write_npz(path: Path, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = np.zeros((2, 5, 5), dtype=np.uint8), np.arange(2)
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y, **more)


# Where it is looked for


def test_npz_comes_first(tmp_path: Path, requests: list[str]) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    write_npz(tmp_path / "mnist.npz")
    task = open_torchvision_set("mnist", tmp_path)
    assert (task.name, task.classes, task.train.images.shape) == ("mnist", DIGITS, (2, 1, 5, 5))
    assert requests == []


def test_npz_may_name_its_classes(tmp_path: Path) -> None:
    write_npz(tmp_path / "mnist.npz", class_names=np.array(["zero", "one"]))
    assert open_torchvision_set("mnist", tmp_path).classes == ("zero", "one")


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_files_of_torchvision(tmp_path: Path, requests: list[str], name: str, folder: str) -> None:
    images = write_mnist(tmp_path / folder / "raw")
    task = open_torchvision_set(name, tmp_path)
    assert task.name == name
    assert np.array_equal(task.train.images[:, 0], images)
    assert task.test.labels.tolist() == [0, 1, 2]
    assert requests == []


def test_the_argument_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "argument" / "usps.npz", class_names=np.array(["argument", "b"]))
    write_npz(tmp_path / "environment" / "usps.npz", class_names=np.array(["environment", "b"]))
    write_npz(tmp_path / "cache" / "usps.npz", class_names=np.array(["cache", "b"]))
    assert open_torchvision_set("usps").classes[0] == "cache"
    monkeypatch.setenv("SCHOLARS_DATA", str(tmp_path / "environment"))
    assert open_torchvision_set("usps").classes[0] == "environment"
    assert open_torchvision_set("usps", tmp_path / "argument").classes[0] == "argument"
    monkeypatch.setenv("SCHOLARS_DATA", "")
    assert open_torchvision_set("usps").classes[0] == "cache"


@pytest.mark.parametrize("by", ["--data-dir", "$SCHOLARS_DATA"])
def test_a_data_directory_that_was_asked_for_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requests: list[str], by: str
) -> None:
    monkeypatch.setenv("SCHOLARS_DATA", str(tmp_path / "absent"))
    with pytest.raises(InputError, match=re.escape(f"absent (from {by}) does not exist")):
        open_torchvision_set("mnist", tmp_path / "absent" if by == "--data-dir" else None)
    assert list(tmp_path.iterdir()) == []
    assert requests == []


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(InputError, match="is not a folder"):
        open_torchvision_set("mnist", tmp_path / "data")


# What the files say


def test_classes_have_plain_names() -> None:
    for name in ("mnist", "usps", "svhn"):
        assert TORCHVISION_SETS[name].classes == DIGITS
    assert TORCHVISION_SETS["emnist-letters"].classes == tuple("abcdefghijklmnopqrstuvwxyz")
    assert TORCHVISION_SETS["fashion-mnist"].classes == tuple(datasets.FashionMNIST.classes)
    assert TORCHVISION_SETS["kmnist"].classes == tuple(datasets.KMNIST.classes)
    assert TORCHVISION_SETS["cifar10"].classes[:3] == ("airplane", "automobile", "bird")


def test_letters_are_upright_and_count_from_a(tmp_path: Path) -> None:
    upright = RNG.integers(0, 256, (2, 28, 28), dtype=np.uint8)
    for part in ("train", "test"):
        write_idx(tmp_path / "EMNIST" / "raw" / f"emnist-letters-{part}-images-idx3-ubyte", upright.transpose(0, 2, 1))
        write_idx(tmp_path / "EMNIST" / "raw" / f"emnist-letters-{part}-labels-idx1-ubyte", np.array([1, 26]))
    task = open_torchvision_set("emnist-letters", tmp_path)
    assert np.array_equal(task.train.images[:, 0], upright)
    assert [task.classes[label] for label in task.train.labels] == ["a", "z"]


def test_usps(tmp_path: Path) -> None:
    """Text lines of the label, from 1, and 256 values of -1..1."""
    line = "10 " + " ".join(f"{place + 1}:{1 if place == 0 else -1}" for place in range(256))
    for file in TORCHVISION_SETS["usps"].files:
        (tmp_path / file).write_bytes(bz2.compress(line.encode()))
    task = open_torchvision_set("usps", tmp_path)
    assert task.train.images.shape == (1, 1, 16, 16)
    assert (task.train.images[0, 0, 0, 0], task.train.images[0, 0, 0, 1]) == (255, 0)
    assert task.classes[task.train.labels[0]] == "9"


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files hold [H, W, C, N], and a 10 for the digit 0."""
    images = RNG.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    for file in TORCHVISION_SETS["svhn"].files:
        scipy.io.savemat(tmp_path / file, {"X": images.transpose(2, 3, 1, 0), "y": np.array([[10], [7]])})
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)
    task = open_torchvision_set("svhn", tmp_path)
    assert np.array_equal(task.test.images, images)
    assert [task.classes[label] for label in task.test.labels] == ["0", "7"]


# Without a network


@pytest.mark.parametrize("name", TORCHVISION_SETS)
def test_no_network_names_every_place(
    tmp_path: Path, requests: list[str], capfd: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(InputError, match="no network in tests") as caught:
        open_torchvision_set(name, tmp_path)
    said = str(caught.value)
    for file in (f"{name}.npz", *TORCHVISION_SETS[name].files):
        assert str(tmp_path / file) in said
    assert "--data-dir" in said
    assert "$SCHOLARS_DATA" in said
    assert requests
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_no_network_and_no_cache_makes_no_cache(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        open_torchvision_set("mnist")
    assert not (tmp_path / "cache").exists()


def test_no_network_keeps_what_is_there(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="3 of these 4 files are there"):
        open_torchvision_set("mnist", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]
    assert len(list((tmp_path / "MNIST" / "raw").iterdir())) == 3


def test_damaged_files_are_not_downloaded_over(tmp_path: Path, requests: list[str]) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="torchvision cannot read its files"):
        open_torchvision_set("mnist", tmp_path)
    assert requests == []


# With one


def downloads(monkeypatch: pytest.MonkeyPatch, *, breaks: bool = False) -> list[float | None]:
    """Let torchvision's download write MNIST, with some noise, or break off; the timeouts it ran with."""
    timeouts: list[float | None] = []

    def download(self: datasets.MNIST) -> None:
        timeouts.append(socket.getdefaulttimeout())
        print("Downloading http://...")
        write_mnist(Path(self.raw_folder))
        if breaks:
            (Path(self.raw_folder) / "t10k-labels-idx1-ubyte").write_bytes(b"half")

    monkeypatch.setattr(datasets.MNIST, "download", download)
    return timeouts


def test_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    timeouts = downloads(monkeypatch)
    before = socket.getdefaulttimeout()
    assert len(open_torchvision_set("mnist").train) == 3
    calls = len(timeouts)
    assert len(open_torchvision_set("mnist").train) == 3
    assert len(timeouts) == calls
    assert all(timeouts)
    assert socket.getdefaulttimeout() == before
    assert capfd.readouterr().out == ""
    files = {path.relative_to(tmp_path / "cache").as_posix() for path in (tmp_path / "cache").rglob("*-ubyte")}
    assert files == set(TORCHVISION_SETS["mnist"].files)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["MNIST"]


def test_a_broken_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads(monkeypatch, breaks=True)
    with pytest.raises(InputError, match="mnist: not found, and torchvision could not download it"):
        open_torchvision_set("mnist", tmp_path)
    assert list(tmp_path.iterdir()) == []


# The real files


@pytest.mark.parametrize(
    ("name", "shape", "counts"),
    [("mnist", (1, 28, 28), (60_000, 10_000)), ("usps", (1, 16, 16), (7_291, 2_007)), ("svhn", (3, 32, 32), None)],
)
def test_real_data(name: str, shape: tuple[int, ...], counts: tuple[int, int] | None) -> None:
    ways = ([f"{name}.npz"], TORCHVISION_SETS[name].files)
    if not any(all((REAL_DATA / file).exists() for file in files) for files in ways):
        pytest.skip(f"needs the real {name} in $SCHOLARS_DATA or ../shared/data")
    task = open_torchvision_set(name, REAL_DATA)
    assert task.classes == DIGITS
    assert task.train.images.shape[1:] == task.test.images.shape[1:] == shape
    assert counts is None or (len(task.train), len(task.test)) == counts
    assert set(task.train.labels) == set(task.test.labels) == set(range(10))
