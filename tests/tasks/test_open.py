"""From what people type to a task."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scholars.errors import InputError
from scholars.tasks.names import NAMES
from scholars.tasks.open import open_task


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an image folder and an ``.npz`` file of two classes."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for level in (0, 200):
            Image.new("L", (12, 12), level + ord(name) % 8).save(tmp_path / "pictures" / name / f"{level}.png")
    x, y = np.zeros((2, 4, 4), dtype=np.uint8), np.arange(2)
    np.savez("arrays.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return tmp_path


def test_names() -> None:
    assert {"mnist", "svhn", "usps", "fashion-mnist", "kmnist", "emnist-letters", "cifar10", "digits"} <= set(NAMES)
    assert open_task("digits").name == "digits"


def test_names_are_known_without_torch() -> None:
    """The shell completes them at every Tab."""
    code = "import sys, scholars.tasks.names; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "scholars.tasks.names" in loaded
    assert not {"torch", "numpy", "PIL"} & set(loaded)


def test_a_folder(place: Path) -> None:
    assert open_task("pictures").classes == ("a", "b")
    assert open_task(place / "pictures", size=5).train.images.shape[1:] == (1, 5, 5)


def test_an_npz_file(place: Path) -> None:
    assert open_task("arrays.npz").classes == ("0", "1")
    assert open_task((place / "arrays.npz").rename(place / "ARRAYS.NPZ")).name == "ARRAYS"


def test_home(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("USERPROFILE", str(place))
    assert open_task("~/arrays.npz").name == "arrays"


def test_a_known_name_means_that_name_and_a_path_a_path(place: Path) -> None:
    (place / "pictures").rename(place / "digits")
    assert open_task("digits").classes == tuple("0123456789")
    assert open_task("./digits").classes == open_task(Path("digits")).classes == ("a", "b")


@pytest.mark.parametrize("source", ["mnits", "MNIST", "nowhere/at/all", "arrays", ""])
def test_nothing_of_that_name(place: Path, source: str) -> None:
    with pytest.raises(InputError, match="neither a known task nor a file or folder that exists"):
        open_task(source)


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(InputError, match="Did you mean 'mnist'"):
        open_task("MNIST ")


def test_another_file(place: Path) -> None:
    (place / "notes.txt").write_text("no images")
    with pytest.raises(
        InputError,
        match=r"notes\.txt: is neither an image folder nor an archive of one \(\.zip",
    ):
        open_task("notes.txt")


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="~nobody-of-this-name/photos: "):
        open_task("~nobody-of-this-name/photos")
    with pytest.raises(InputError, match="~nobody-of-this-name"):
        open_task("mnist", data_dir="~nobody-of-this-name")
