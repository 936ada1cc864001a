"""The data sets that are known by name: found in the data directory, or downloaded there by torchvision."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import string
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from torchvision import datasets

from scholars.errors import InputError
from scholars.store import expanded
from scholars.tasks.arrays import read_arrays
from scholars.tasks.task import Images, Task

_DIGITS = tuple(string.digits)

# urllib waits for ever by default: behind a firewall that drops packets, a missing network should show in seconds.
_DOWNLOAD_TIMEOUT = 10.0


@dataclass(frozen=True)
class _Source:
    """How torchvision knows a data set.

    classes: class names in label order
    files: what torchvision reads, relative to the data directory
    archives: what it downloads and unpacks, where that is something else
    read: (root, train, download) -> uint8 images ``[N, H, W]`` or ``[N, 3, H, W]``, and labels that count from 0
    """

    classes: tuple[str, ...]
    files: tuple[str, ...]
    archives: tuple[str, ...]
    read: Callable[[Path, bool, bool], tuple[Any, Any]]


def _mnist_like(kind: type[Any], classes: tuple[str, ...]) -> _Source:
    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = kind(root, train=train, download=download)
        return data.data, data.targets

    archives = tuple(f"{kind.__name__}/raw/{file}" for file, _ in kind.resources)
    return _Source(classes, tuple(file.removesuffix(".gz") for file in archives), archives, read)


def _emnist_letters() -> _Source:
    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = datasets.EMNIST(root, split="letters", train=train, download=download)
        # The files hold columns before rows, and count the letters from 1.
        return data.data.transpose(1, 2), data.targets - 1

    files = [
        f"EMNIST/raw/emnist-letters-{part}-{what}-ubyte"
        for part in ("train", "test")
        for what in ("images-idx3", "labels-idx1")
    ]
    return _Source(tuple(string.ascii_lowercase), tuple(files), ("EMNIST/raw/gzip.zip",), read)


def _usps() -> _Source:
    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = datasets.USPS(root, train=train, download=download)
        return data.data, data.targets

    return _Source(_DIGITS, tuple(datasets.USPS.split_list[part][1] for part in ("train", "test")), (), read)


def _svhn() -> _Source:
    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = datasets.SVHN(root, split="train" if train else "test", download=download)
        return data.data, data.labels

    return _Source(_DIGITS, tuple(datasets.SVHN.split_list[part][1] for part in ("train", "test")), (), read)


def _cifar10() -> _Source:
    kind = datasets.CIFAR10

    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = kind(root, train=train, download=download)
        return data.data.transpose(0, 3, 1, 2), data.targets

    files = [file for file, _ in [*kind.train_list, *kind.test_list]] + [kind.meta["filename"]]
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return _Source(classes, tuple(f"{kind.base_folder}/{file}" for file in files), (kind.filename,), read)


SOURCES: dict[str, _Source] = {
    "mnist": _mnist_like(datasets.MNIST, _DIGITS),
    "svhn": _svhn(),
    "usps": _usps(),
    "fashion-mnist": _mnist_like(datasets.FashionMNIST, tuple(datasets.FashionMNIST.classes)),
    "kmnist": _mnist_like(datasets.KMNIST, tuple(datasets.KMNIST.classes)),
    "emnist-letters": _emnist_letters(),
    "cifar10": _cifar10(),
}


def named(name: str, data_dir: str | Path | None = None) -> Task:
    """One of `SOURCES`, from ``NAME.npz`` or torchvision's files in the data directory, else downloaded there.

    data_dir: the data directory; unless given, ``$SCHOLARS_DATA``, else the user's cache directory

    Raises InputError if the directory was asked for and does not exist, if what is there cannot be read, and if nothing
    is there and no download works either: then it names every place looked at. A failed download leaves no file behind.
    """
    source = SOURCES[name]
    root = data_directory(data_dir)
    arrays = root / f"{name}.npz"
    if arrays.is_file():
        return read_arrays(arrays, name=name, classes=source.classes)
    missing = [file for file in source.files if not (root / file).is_file()]
    if missing:
        _download(name, source, root, missing)
    try:
        return _task(name, source, root, download=False)
    except Exception as error:  # torchvision's readers raise whatever the damage leads to, down to AssertionError
        raise InputError(
            f"{name}: torchvision cannot read its files in {root} ({_reason(error)}); "
            f"delete {', '.join(source.files)} there, and they are downloaded again"
        ) from error


def at_hand(data_dir: str | Path | None = None) -> list[str]:
    """Which of `SOURCES` can be opened without a network."""
    root = data_directory(data_dir)
    return [
        name
        for name, source in SOURCES.items()
        if (root / f"{name}.npz").is_file() or all((root / file).is_file() for file in source.files)
    ]


def data_directory(given: str | Path | None) -> Path:
    """Where data sets are looked for; see `named`. Raises InputError if one was asked for that does not exist."""
    asked, by = (given, "--data-dir") if given is not None else (os.environ.get("SCHOLARS_DATA"), "$SCHOLARS_DATA")
    if not asked:
        return platformdirs.user_cache_path("scholars", appauthor=False)
    root = expanded(asked)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist; make it"
        raise InputError(f"data directory {root} (from {by}) {what}, or name another with --data-dir")
    return root


def _task(name: str, source: _Source, root: Path, *, download: bool) -> Task:
    def part(train: bool) -> Images:
        images, labels = (np.asarray(array) for array in source.read(root, train, download))
        if images.ndim == 3:
            images = images[:, np.newaxis]
        return Images(np.ascontiguousarray(images), labels.astype(np.int64))

    return Task(name, source.classes, part(True), part(False))


def _download(name: str, source: _Source, root: Path, missing: list[str]) -> None:
    """Let torchvision download into a folder of its own, and move the files to their place once they can be read."""
    new = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as folder:
            stage = Path(folder)
            for file in (*source.files, *source.archives):
                if (root / file).is_file():
                    (stage / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(root / file, stage / file)
            with _short_and_quiet():
                _task(name, source, stage, download=True)
            for file in source.files:
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (stage / file).replace(root / file)
    except Exception as error:  # from the network, the disk, or whatever torchvision makes of a damaged file
        if new:
            with contextlib.suppress(OSError):
                root.rmdir()
        raise InputError(_not_found(name, source, root, missing, error)) from error


def _not_found(name: str, source: _Source, root: Path, missing: list[str], error: Exception) -> str:
    there = len(source.files) - len(missing)
    some = f" ({there} of these {len(source.files)} files are there)" if there else ""
    looked = [f"  {root / f'{name}.npz'}", *(f"  {root / file}" for file in source.files)]
    return "\n".join(
        [
            f"{name}: not found, and torchvision could not download it: {_reason(error)}",
            f"Looked for, in this order{some}:",
            *looked,
            f"Open {name} once where there is a network and copy torchvision's files here; or put a file {name}.npz "
            "with x_train, y_train, x_test, y_test here; or name the folder that has them with --data-dir or "
            "$SCHOLARS_DATA.",
        ]
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def _short_and_quiet() -> Iterator[None]:
    """Give up soon, and keep stdout for results: some versions of torchvision print there as they download."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)
