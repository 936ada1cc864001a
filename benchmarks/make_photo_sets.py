"""Make a set of photographs, an image folder, from its public archive: Caltech-101, or clothing-dataset-small.

python benchmarks/make_photo_sets.py ARCHIVE OUT [--side 128] [--seed 0]

ARCHIVE: caltech-101.zip or 101_ObjectCategories.tar.gz (https://data.caltech.edu/records/mzrjq-6wc02), or the zip file
of the repository https://github.com/alexeygrigorev/clothing-dataset-small. Which it is, its content says.
OUT: the folder to write, such as DATA/caltech101 or DATA/clothing: then `scholars run caltech101 --data-dir DATA`
finds it. Replaced as a whole, if it is there.

Photos are resized to a shorter side of 128 pixels and written as JPEG, as OUT/{train,test}/CLASS/*.jpg. Of Caltech-101
the background and both classes of faces are left out; of a class of more than 130 photos 130 are chosen at random, and
a random fifth of each class is the test. The test part of the clothes is their own; their validation part belongs to
train here. Both are subsets, or divided otherwise than usual: every table that uses them should say so.
"""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from measuring import pages
from PIL import Image

from scholars.errors import InputError
from scholars.storage.files import atomic_folder
from scholars.tasks.decoding import open_upright

# Part ("train", ... or "" where the archive has none) -> class -> name of the file -> JPEG.
Photos = dict[str, dict[str, dict[str, bytes]]]

_CALTECH = "101_ObjectCategories"
_NESTED = f"{_CALTECH}.tar.gz"
_LEFT_OUT = {"BACKGROUND_Google", "Faces", "Faces_easy"}
# The most photos of a class of Caltech-101, and the share that is the test.
_MOST, _TEST = 130, 5
_CLOTHING = {"train": "train", "validation": "train", "test": "test"}
_IMAGES = {".jpg", ".jpeg", ".png"}
# Limits of an archive: bytes of a file, bytes of all files, and their number.
_MAX_FILE, _MAX_ALL, _MAX_COUNT = 64 * 2**20, 4 * 2**30, 100_000
_QUALITY = 90


def make_set(archive: Path, out: Path, side: int = 128, seed: int = 0) -> str:
    """Write the image folder ``out``, atomically; return one line about it.

    Raises InputError for anything but one of the two archives, for a damaged one, and for an ``out`` that is no image
    folder of train and test.
    """
    if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= {"train", "test"}):
        raise InputError(f"{out} is there and holds something else than train and test: choose another folder")
    found = _read(archive, side)
    caltech = "" in found
    parts = _divide(found[""], seed) if caltech else _own_parts(found)
    if any(not parts.get(part) for part in ("train", "test")):
        raise InputError(
            f"{archive} is neither Caltech-101's archive (caltech-101.zip, {_NESTED}) nor that of "
            "clothing-dataset-small, with its folders train and test"
        )
    with atomic_folder(out) as fresh:
        for part, classes in parts.items():
            for name, files in classes.items():
                folder = fresh / part / name
                folder.mkdir(parents=True)
                for file, content in files.items():
                    (folder / file).write_bytes(content)
    counts = {part: sum(len(files) for files in classes.values()) for part, classes in parts.items()}
    what = "Caltech-101, a subset" if caltech else "clothing-dataset-small"
    return (
        f"{out}: {what}: {len(parts['train'])} classes, {counts['train']:,} photos to train and {counts['test']:,} to "
        "test"
    )


def _read(archive: Path, side: int) -> Photos:
    """Return all photos of the archive that are of a class, resized."""
    photos: Photos = defaultdict(lambda: defaultdict(dict))
    try:
        for path, content in _files(archive):
            if place := _place(path):
                part, name = place
                photos[part][name][f"{path.stem}.jpg"] = _resized(content, side, f"{archive}: {path}")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{archive} is damaged, or no archive: {error}") from None
    except OSError as error:
        raise InputError(f"{archive} cannot be read: {error.strerror or error}") from None
    return photos


def _place(path: PurePosixPath) -> tuple[str, str] | None:
    """Return part and class of a photo; None for other files."""
    if path.suffix.lower() not in _IMAGES or any(part.startswith((".", "__MACOSX")) for part in path.parts):
        return None
    *above, folder, name, _ = ("", "", *path.parts)
    if folder == _CALTECH and name not in _LEFT_OUT:
        return "", name
    return (_CLOTHING[folder], name) if folder in _CLOTHING and _CALTECH not in above else None


def _resized(content: bytes, side: int, where: str) -> bytes:
    try:
        picture = open_upright(content)
        scale = side / min(picture.size)
        width, height = (max(side, round(scale * length)) for length in picture.size)
        packed = io.BytesIO()
        picture.resize((width, height), Image.Resampling.BICUBIC).save(packed, "JPEG", quality=_QUALITY)
    except Exception as error:  # Pillow raises many kinds for damaged images
        raise InputError(f"{where} cannot be read: {error}") from None
    return packed.getvalue()


def _divide(classes: Mapping[str, Mapping[str, bytes]], seed: int) -> Photos:
    """Return Caltech-101's photos as train and test; which ones does not depend on the other classes."""
    parts: Photos = {"train": {}, "test": {}}
    for name in sorted(classes):
        files = sorted(classes[name].items())
        order = np.random.default_rng([seed, *name.encode()]).permutation(len(files))[:_MOST]
        count = round(len(order) / _TEST)
        parts["test"][name] = dict(files[place] for place in order[:count])
        parts["train"][name] = dict(files[place] for place in order[count:])
    return parts


def _own_parts(found: Photos) -> Photos:
    if found and set(found.get("train", ())) != set(found.get("test", ())):
        raise InputError("train and test of this archive do not have the same classes")
    return {part: {name: classes[name] for name in sorted(classes)} for part, classes in found.items()}


def _files(archive: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield path and content of the files in a zip or tar archive, and in Caltech's tar archive in a zip archive.

    Raises InputError for paths that lead out of it, links, and too many or too large files.
    """
    limits = _Limits(archive)
    if not zipfile.is_zipfile(archive):
        with archive.open("rb") as file:
            yield from _tar_files(file, limits)
        return
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            if entry.is_dir():
                continue
            path = PurePosixPath(entry.filename)
            if path.name == _NESTED:
                with opened.open(entry) as inner:
                    yield from _tar_files(inner, limits)
                continue
            limits.check(
                entry.filename, entry.file_size, is_file=(entry.external_attr >> 16) & 0o170000 in (0, 0o100000)
            )
            with opened.open(entry) as packed:
                # The size in the directory may be wrong.
                content = packed.read(entry.file_size + 1)
            if len(content) != entry.file_size:
                raise InputError(f"{archive}: {path} is not as large as the archive says")
            yield path, content


def _tar_files(file: object, limits: _Limits) -> Iterator[tuple[PurePosixPath, bytes]]:
    with tarfile.open(fileobj=file, mode="r|*") as opened:  # type: ignore[call-overload]
        for member in opened:
            if member.isdir():
                continue
            limits.check(member.name, member.size, is_file=member.isreg())
            content = opened.extractfile(member)
            assert content is not None
            yield PurePosixPath(member.name), content.read()


class _Limits:
    """Counts what an archive holds."""

    def __init__(self, archive: Path) -> None:
        self._archive, self._bytes, self._count = archive, 0, 0

    def check(self, name: str, size: int, *, is_file: bool) -> None:
        """Raise InputError for a path that leads out, a link or device, and for too much."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
            raise InputError(f"{self._archive}: {name!r} leads out of the archive")
        if not is_file:
            raise InputError(f"{self._archive}: {name!r} is a link or a device: an archive of photos holds files only")
        self._bytes, self._count = self._bytes + size, self._count + 1
        if size > _MAX_FILE or self._bytes > _MAX_ALL or self._count > _MAX_COUNT:
            raise InputError(f"{self._archive}: more, or larger files than a set of photos has, at {name!r}")


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=128, help="pixels of the shorter side")
    parser.add_argument("--seed", type=int, default=0, help="which photos are chosen, and which are the test")
    options = parser.parse_args()
    try:
        print(make_set(options.archive, options.out, options.side, options.seed))
    except InputError as error:
        sys.exit(f"make_photo_sets.py: {error}")


if __name__ == "__main__":
    main()
