"""The data sets that torchvision knows: found in the data directory, or downloaded there."""

import contextlib
import io
import shutil
import socket
import string
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torchvision import datasets

from scholars.errors import InputError, one_line
from scholars.tasks.data_directory import resolve_data_directory
from scholars.tasks.images import Images
from scholars.tasks.names import TORCHVISION_CLASSES
from scholars.tasks.npz import read_npz
from scholars.tasks.task import Task

_DIGITS = tuple(string.digits)

# Seconds. urllib waits for ever by default: behind a firewall that drops packets, a missing network should show soon.
_DOWNLOAD_TIMEOUT = 10.0


@dataclass(frozen=True)
class TorchvisionSet:
    """A data set of torchvision: how it is read and where its files are.

    classes: class names in label order
    files: what torchvision reads, relative to the data directory
    archives: what it downloads and unpacks, if those are other files
    read: (root, train, download) -> uint8 images ``[N, H, W]`` or ``[N, 3, H, W]``, and labels that count from 0
    """

    classes: tuple[str, ...]
    files: tuple[str, ...]
    archives: tuple[str, ...]
    read: Callable[[Path, bool, bool], tuple[Any, Any]]


def _like_mnist(kind: Any) -> TorchvisionSet:
    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = kind(root, train=train, download=download)
        return data.data, data.targets

    classes = _DIGITS if kind is datasets.MNIST else tuple(kind.classes)
    archives = tuple(f"{kind.__name__}/raw/{file}" for file, _ in kind.resources)
    return TorchvisionSet(classes, tuple(file.removesuffix(".gz") for file in archives), archives, read)


def _emnist_letters(kind: Any) -> TorchvisionSet:
    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = kind(root, split="letters", train=train, download=download)
        # The files hold columns before rows, and count the letters from 1.
        return data.data.transpose(1, 2), data.targets - 1

    files = [
        f"EMNIST/raw/emnist-letters-{part}-{what}-ubyte"
        for part in ("train", "test")
        for what in ("images-idx3", "labels-idx1")
    ]
    return TorchvisionSet(tuple(string.ascii_lowercase), tuple(files), ("EMNIST/raw/gzip.zip",), read)


def _usps(kind: Any) -> TorchvisionSet:
    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = kind(root, train=train, download=download)
        return data.data, data.targets

    return TorchvisionSet(_DIGITS, tuple(kind.split_list[part][1] for part in ("train", "test")), (), read)


def _svhn(kind: Any) -> TorchvisionSet:
    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = kind(root, split="train" if train else "test", download=download)
        return data.data, data.labels

    return TorchvisionSet(_DIGITS, tuple(kind.split_list[part][1] for part in ("train", "test")), (), read)


def _cifar10(kind: Any) -> TorchvisionSet:
    def read(root: Path, train: bool, download: bool) -> tuple[Any, Any]:
        data = kind(root, train=train, download=download)
        return data.data.transpose(0, 3, 1, 2), data.targets

    files = [file for file, _ in [*kind.train_list, *kind.test_list]] + [kind.meta["filename"]]
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return TorchvisionSet(classes, tuple(f"{kind.base_folder}/{file}" for file in files), (kind.filename,), read)


# torchvision's class -> how it keeps its data, if that is not MNIST's way.
_LAYOUTS = {"EMNIST": _emnist_letters, "USPS": _usps, "SVHN": _svhn, "CIFAR10": _cifar10}

TORCHVISION_SETS: dict[str, TorchvisionSet] = {
    name: _LAYOUTS.get(kind, _like_mnist)(getattr(datasets, kind)) for name, kind in TORCHVISION_CLASSES.items()
}


def open_torchvision_set(name: str, data_dir: str | Path | None = None) -> Task:
    """Return one of `TORCHVISION_SETS`, from ``NAME.npz`` or torchvision's files in the data directory, or download it.

    data_dir: the data directory; unless given, ``$SCHOLARS_DATA``, else the user's cache directory

    Raises InputError if a directory was given that does not exist, if what is there cannot be read, and if nothing is
    there and no download works either: then it names every place looked at. A failed download leaves no file behind.
    """
    known = TORCHVISION_SETS[name]
    root = resolve_data_directory(data_dir)
    npz = root / f"{name}.npz"
    if npz.is_file():
        return read_npz(npz, name=name, class_names=known.classes)
    missing = [file for file in known.files if not (root / file).is_file()]
    if missing:
        _download(name, root, missing)
    try:
        return _read(name, root, download=False)
    except Exception as error:  # torchvision's readers raise whatever the damage leads to, down to AssertionError
        raise InputError(
            f"{name}: torchvision cannot read its files in {root} ({one_line(error)}); "
            f"delete {', '.join(known.files)} there, and they are downloaded again"
        ) from error


def list_local_sets(data_dir: str | Path | None = None) -> list[str]:
    """Return which of `TORCHVISION_SETS` can be opened without a network."""
    root = resolve_data_directory(data_dir)
    return [
        name
        for name, known in TORCHVISION_SETS.items()
        if (root / f"{name}.npz").is_file() or all((root / file).is_file() for file in known.files)
    ]


def _read(name: str, root: Path, *, download: bool) -> Task:
    known = TORCHVISION_SETS[name]

    def part(train: bool) -> Images:
        images, labels = (np.asarray(array) for array in known.read(root, train, download))
        if images.ndim == 3:
            images = images[:, np.newaxis]
        return Images(np.ascontiguousarray(images), labels.astype(np.int64))

    return Task(name, known.classes, part(True), part(False))


def _download(name: str, root: Path, missing: list[str]) -> None:
    """Download into a temporary folder, and move the files to their place once they can be read. Raises InputError."""
    known, root_is_new = TORCHVISION_SETS[name], not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as folder:
            stage = Path(folder)
            for file in (*known.files, *known.archives):
                if (root / file).is_file():
                    (stage / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(root / file, stage / file)
            with _short_timeout(), contextlib.redirect_stdout(io.StringIO()):  # some versions of torchvision print
                _read(name, stage, download=True)
            for file in known.files:
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (stage / file).replace(root / file)
    except Exception as error:  # from the network, the disk, or whatever torchvision makes of a damaged file
        if root_is_new:
            with contextlib.suppress(OSError):
                root.rmdir()
        raise InputError(_explain_not_found(name, root, missing, error)) from error


def _explain_not_found(name: str, root: Path, missing: list[str], error: Exception) -> str:
    files = TORCHVISION_SETS[name].files
    there = len(files) - len(missing)
    some = f" ({there} of these {len(files)} files are there)" if there else ""
    return "\n".join(
        [
            f"{name}: not found, and torchvision could not download it: {one_line(error)}",
            f"Looked for, in this order{some}:",
            *(f"  {root / file}" for file in (f"{name}.npz", *files)),
            f"Open {name} once where there is a network and copy torchvision's files here; or put a file {name}.npz "
            "with x_train, y_train, x_test, y_test here; or name the folder that has them with --data-dir or "
            "$SCHOLARS_DATA.",
        ]
    )


@contextlib.contextmanager
def _short_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
