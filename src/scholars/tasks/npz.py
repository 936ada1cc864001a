"""Tasks from ``.npz`` files, as Keras keeps its data sets."""

import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from scholars.errors import InputError
from scholars.tasks.images import Images
from scholars.tasks.task import Task, nfc

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_SAVEZ = f"np.savez(path, {', '.join(f'{key}={key}' for key in _KEYS)})"

# Without class names every number up to the highest label becomes a class. More than this is no image data set:
# the labels are then ids of some kind, and counting up to them could exhaust the memory.
_MAX_CLASSES = 65_536

# Bytes that the arrays of a file may take in memory. Image folders may be larger: they are read as images are drawn.
MAX_BYTES = 8 * 2**30

# What numpy and zipfile raise for damaged files; RuntimeError for encrypted ones.
_DAMAGE = (ValueError, OSError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read_npz(path: Path, *, name: str | None = None, class_names: Sequence[str] | None = None) -> Task:
    """Return the task of an ``.npz`` file.

    The file holds ``x_train``, ``y_train``, ``x_test``, ``y_test`` and, optionally, ``class_names``; other keys are
    ignored. Images are uint8 ``[N, H, W]`` or ``[N, H, W, C]`` with C 1 or 3; labels are integers ``[N]`` or
    ``[N, 1]``, counted from 0.

    name: name of the task; unless given, the file's name without its ending
    class_names: used if the file has none; unless given, the numbers 0, 1, 2 ... as text

    Raises InputError, naming the file and the array, for anything else. Nothing in the file is ever unpickled.
    """
    arrays = _load_arrays(path)
    train, test = (_convert_part(path, part, arrays) for part in ("train", "test"))
    if train.images.shape[1:] != test.images.shape[1:]:
        sizes = ["{1}x{2}x{0}".format(*part.images.shape[1:]) for part in (train, test)]
        raise InputError(f"{path}: x_train has images of {sizes[0]} and x_test of {sizes[1]}; both parts need the same")
    highest = int(max(train.labels.max(), test.labels.max()))
    if "class_names" in arrays:
        names = _convert_class_names(path, arrays["class_names"])
    elif class_names is not None:
        names = tuple(class_names)
    elif highest < _MAX_CLASSES:
        names = tuple(str(label) for label in range(highest + 1))
    else:
        raise InputError(f"{path}: labels reach up to {highest}; number the classes 0, 1, 2 ... without large gaps")
    if highest >= len(names):
        raise InputError(
            f"{path}: labels reach up to {highest}, but there are only {len(names)} class names "
            f"({', '.join(names[:12])}{' ...' if len(names) > 12 else ''}); labels count from 0"
        )
    return Task(name or path.stem, names, train, test)


def _load_arrays(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of the file that matter; no other is read. Raises InputError."""
    try:
        # Opened here because numpy leaves a file open that turns out to be no zip archive.
        with path.open("rb") as file, _open_archive(path, file) as archive:
            missing = [key for key in _KEYS if key not in archive]
            if missing:
                there = ", ".join(archive.files) or "nothing"
                raise InputError(f"{path}: {', '.join(missing)} missing (there is: {there}); save it with {_SAVEZ}")
            wanted = [key for key in (*_KEYS, "class_names") if key in archive]
            with zipfile.ZipFile(file) as members:
                _check_sizes(path, members, wanted)
            return {key: _read_array(path, archive, key) for key in wanted}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _open_archive(path: Path, file: BinaryIO) -> np.lib.npyio.NpzFile:
    try:
        loaded: object = np.load(file, allow_pickle=False)
    # zipfile raises its NotImplementedError for archives of a kind that it does not read.
    except (ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is not an .npz file, or is cut off; copy or save it again") from error
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise InputError(f"{path}: holds a single array; save the four together with {_SAVEZ}")
    return loaded


def check_compression(entry: zipfile.ZipInfo, where: str) -> None:
    """Raise InputError for bzip2 and LZMA, which `zipfile` unpacks at once, however large the result."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(
            f"{where}: {entry.filename!r} is packed by another method than deflate; pack it anew, by zip or numpy"
        )


def _check_sizes(path: Path, members: zipfile.ZipFile, wanted: Sequence[str]) -> None:
    """Raise InputError, before anything is unpacked, if arrays are too large or smaller than their headers say."""
    total = 0
    for key in wanted:
        entry = f"{key}.npy" if f"{key}.npy" in members.namelist() else key
        try:
            check_compression(members.getinfo(entry), str(path))
            with members.open(entry) as member:
                version = np.lib.format.read_magic(member)
                header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                if version not in header:
                    raise ValueError(f"version {version} of the format")
                shape, _, dtype = header[version](member)
        except _DAMAGE as error:
            raise InputError(f"{path}: {key} is damaged; copy or save the file again ({error})") from error
        size = math.prod(shape) * dtype.itemsize
        total += size
        if not dtype.hasobject and not size <= members.getinfo(entry).file_size:
            raise InputError(f"{path}: {key} is damaged: its header says {list(shape)}, and it is smaller")
    if total > MAX_BYTES:
        raise InputError(
            f"{path}: its arrays take {total / 2**30:.0f} GiB, and {MAX_BYTES >> 30} GiB is the most that is read; "
            "make several files of it, or an image folder"
        )


def _read_array(path: Path, archive: np.lib.npyio.NpzFile, key: str) -> npt.NDArray[np.generic]:
    try:
        array: object = archive[key]
    except _DAMAGE as error:
        if "Object arrays" in str(error):
            raise InputError(
                f"{path}: {key} is an array of Python objects, which is never read because it could run code; "
                "save plain numbers (images of one size) and text with dtype=str"
            ) from error
        raise InputError(f"{path}: {key} is damaged; copy or save the file again ({error})") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: {key} is not an array; save it with {_SAVEZ}")
    return array


def _convert_part(path: Path, part: str, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Images:
    images = _convert_images(path, f"x_{part}", arrays[f"x_{part}"])
    labels = _convert_labels(path, f"y_{part}", arrays[f"y_{part}"])
    if len(images) != len(labels):
        raise InputError(f"{path}: {len(images)} images in x_{part} but {len(labels)} labels in y_{part}")
    return Images(images, labels)


def _convert_images(path: Path, key: str, x: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    where = f"{path}: {key} is {x.dtype} {list(x.shape)}"
    if x.dtype != np.uint8:
        if x.dtype.kind == "f" and x.size and np.min(x) >= 0 and np.max(x) <= 1:  # false where one is NaN
            how = "values of 0..1 become it with (x * 255).round().astype(np.uint8)"
        else:
            how = "bring the values to 0..255 and save x.astype(np.uint8)"
        raise InputError(f"{where}; images must be uint8: {how}")
    if x.ndim == 3:
        x = x[..., np.newaxis]
    if x.ndim != 4 or x.shape[3] not in (1, 3):
        first = x.ndim == 4 and x.shape[1] in (1, 3)
        how = ": move the channels last with x.transpose(0, 2, 3, 1)" if first else ""
        raise InputError(f"{where}; images must be [N, H, W] or [N, H, W, C] with 1 or 3 channels{how}")
    if 0 in x.shape:
        raise InputError(f"{where}: it holds no image")
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), dtype=np.uint8)


def _convert_labels(path: Path, key: str, y: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    where = f"{path}: {key} is {y.dtype} {list(y.shape)}"
    if y.ndim == 2 and y.shape[1] > 1:
        raise InputError(f"{where}; labels must be [N]: one-hot rows become it with y.argmax(axis=1)")
    if y.dtype.kind not in "iu":
        raise InputError(f"{where}; labels must be integers: save y.astype(np.int64)")
    if y.ndim == 2:
        y = y[:, 0]
    if y.ndim != 1:
        raise InputError(f"{where}; labels must be [N], one integer for each image")
    if len(y) == 0:
        raise InputError(f"{where}: it holds no label")
    if int(y.min()) < 0 or int(y.max()) > np.iinfo(np.int64).max:
        raise InputError(f"{path}: {key} reaches from {y.min()} to {y.max()}; labels count from 0")
    return y.astype(np.int64)


def _convert_class_names(path: Path, array: npt.NDArray[np.generic]) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise InputError(
            f"{path}: class_names is {array.dtype} {list(array.shape)}; "
            "it must be a list of text: np.array(names, dtype=str)"
        )
    try:
        names = tuple(nfc(name) for name in array.astype(np.str_).tolist())
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: class_names is not plain text; save np.array(names, dtype=str)") from error
    if any(not name.strip() for name in names):
        raise InputError(f"{path}: class_names has an empty name at place {[not n.strip() for n in names].index(True)}")
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise InputError(f"{path}: class_names repeats {', '.join(repeated)}; each class needs a name of its own")
    return names
