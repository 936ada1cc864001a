"""Tasks from folders of image files, one folder for each class."""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from scholars.errors import InputError
from scholars.tasks.task import Images, Task

_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

# Only these of Pillow's readers: some of the others start programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")

_LARGEST_DEFAULT = 64
_MOST_LISTED = 20

# 20 % of all SHA-256 digests are below.
_TEST_BELOW = (2**64 // 5).to_bytes(8, "big")


@dataclass(frozen=True)
class Picture:
    """A decoded file.

    pixels: ``[S, S]`` (grey) or ``[S, S, 3]`` uint8
    digest: SHA-256 of the file's content
    """

    pixels: npt.NDArray[np.uint8]
    digest: bytes


def read_folder(path: str | Path, size: int | None = None) -> Task:
    """Read a task from a folder of PNG, JPEG, WebP, BMP, TIFF or GIF files (of a moving picture the first frame).

    The folder holds ``train/CLASS/*`` and ``test/CLASS/*``, or ``CLASS/*`` alone. Then about 20 % of each class are
    held out, at least one image of it and never all: those whose content has a low SHA-256. That side stays the same
    when files are renamed or others added (a class so small that its test image had to be picked can change it), and
    equal files of a class stay together. Folders inside a class folder belong to the class. Hidden files and folders,
    other file endings, and anything beside ``train`` and ``test``, or beside the class folders, is ignored.

    size: the side of the squares that every image becomes, by scaling its shorter side and cropping the longer one
        around its centre; unless given, the shortest side of all the images, but at most 64

    The images are grey if none of them shows any colour, however it is saved, and else RGB. Class names are those of
    the folders, in natural order: "2" before "10".

    Raises InputError if the folder is not laid out like that, if a class has no image or none to spare for the test
    part, if a link leaves the folder or leads in a circle, and if images cannot be read: then it lists them.
    """
    root = Path(path)
    if size is not None and size < 1:
        raise InputError(f"size is {size}; the side of an image is at least 1 pixel")
    if not root.is_dir():
        raise InputError(f"{root}: is not a folder")
    split = _is_split(root)
    train = _classes(root, root / "train" if split else root)
    test = _classes(root, root / "test") if split else {}
    strange = [name for name in test if name not in train]
    if strange:
        raise InputError(
            f"{root}: test has classes that train does not have: {', '.join(strange)} (train has {', '.join(train)}); "
            "name them alike, or move them away"
        )
    names = tuple(train)
    files = [(names.index(name), file) for part in (train, test) for name, of in part.items() for file in of]
    labels = np.array([label for label, _ in files], dtype=np.int64)
    pictures = _decoded(root, [file for _, file in files], size)
    if split:
        held_out = np.arange(len(files)) >= sum(map(len, train.values()))
    else:
        held_out = np.zeros(len(files), dtype=np.bool_)
        for label, name in enumerate(names):
            places = np.flatnonzero(labels == label)
            digests = [pictures[place].digest for place in places]
            if len(set(digests)) == 1:
                what = "one image" if len(digests) == 1 else f"one image, in {len(digests)} copies"
                raise InputError(
                    f"{root / name}: holds only {what}, so that none can be held out for the test; add another, "
                    "or make the parts yourself: train/CLASS/* and test/CLASS/*"
                )
            held_out[places] = _held_out(digests)
    everything = Images(_stacked([picture.pixels for picture in pictures], size), labels)
    return Task(root.resolve().name, names, everything[~held_out], everything[held_out])


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder and in those below it, in natural order. Raises InputError as `read_folder` does."""
    return _files(folder, folder, ())


def read_pictures(files: Sequence[Path], size: int | None) -> list[Picture | str]:
    """Each file's picture, or why it cannot be read, decoded by threads: Pillow works outside the interpreter's lock.

    size: the side of the squares; None: of each picture its shorter side, but at most 64
    """
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        # Pillow warns of what it then copes with, or raises an error for; only of an image of up to twice the size
        # that it calls a decompression bomb it does no more than warn.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return list(pool.map(lambda file: _read(file, size), files))


def _is_split(root: Path) -> bool:
    """Whether the folder has its own train and test parts."""
    folders = [entry.name for entry in _entries(root, root) if entry.is_dir()]
    there = [side for side in ("train", "test") if side in folders]
    if len(there) == 1:
        side, other = there[0], "test" if there[0] == "train" else "train"
        raise InputError(
            f"{root}: has a folder {side!r} but none called {other!r} (there is: {', '.join(folders)}); add "
            f"{other}/CLASS/*, or give a folder of class folders alone, of which a part is held out for the test"
        )
    return bool(there)


def _classes(root: Path, folder: Path) -> dict[str, list[Path]]:
    """The image files of each class folder in ``folder``, both in natural order."""
    entries = _entries(root, folder)
    found = {entry.name: _files(root, entry, ()) for entry in entries if entry.is_dir()}
    if not found:
        what = "images, but not in a folder for their class" if entries else "no folder with images"
        raise InputError(f"{folder}: holds {what}; sort them into one folder for each class: {folder / 'CLASS'}/*")
    empty = [name for name, files in found.items() if not files]
    if empty:
        raise InputError(
            f"{folder}: no image in {_listed(empty, ', ')} (looked for {', '.join(sorted(_ENDINGS))}); "
            "add some, or remove the folder"
        )
    return found


def _files(root: Path, folder: Path, above: tuple[str, ...]) -> list[Path]:
    """The image files in a folder and in those below it; ``above`` are the real paths of those that lead here."""
    real = os.path.realpath(folder)
    if real in above:
        raise InputError(f"{folder}: is a link to a folder that it is in itself; remove the link")
    files: list[Path] = []
    for entry in _entries(root, folder):
        files += _files(root, entry, (*above, real)) if entry.is_dir() else [entry]
    return files


def _entries(root: Path, folder: Path) -> list[Path]:
    """The folders in a folder, and what is called like an image, in natural order. Refuses links out of ``root``."""
    try:
        visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    entries = [entry for entry in visible if entry.suffix.lower() in _ENDINGS or entry.is_dir()]
    for entry in entries:
        if entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(os.path.realpath(root)):
            raise InputError(
                f"{entry}: is a link that leaves the folder, to {os.path.realpath(entry)}; copy the images in instead"
            )
    return sorted(entries, key=lambda entry: _natural(entry.name))


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sorts "2" before "10"; text and numbers alternate, so that like is always compared with like."""
    pieces = re.split(r"(\d+)", name.casefold())
    return [int(piece) if place % 2 else piece for place, piece in enumerate(pieces)], name


def _held_out(digests: Sequence[bytes]) -> list[bool]:
    """Which files of a class are for the test, by their SHA-256: one at least, and not all.

    At least two of the digests differ. Each is judged by itself wherever that leaves an image on both sides.
    """
    distinct = set(digests)
    test = {digest for digest in distinct if digest < _TEST_BELOW} or {min(distinct)}
    if test == distinct:
        test.remove(max(distinct))
    return [digest in test for digest in digests]


def _decoded(root: Path, files: Sequence[Path], size: int | None) -> list[Picture]:
    results = read_pictures(files, size)
    pictures = [result for result in results if isinstance(result, Picture)]
    if len(pictures) < len(files):
        pairs = zip(files, results, strict=True)
        bad = [f"  {file.relative_to(root)}: {result}" for file, result in pairs if isinstance(result, str)]
        listed = _listed(bad, "\n")
        raise InputError(f"{root}: {len(bad)} of {len(files)} images cannot be read; replace or remove:\n{listed}")
    return pictures


def _read(file: Path, size: int | None) -> Picture | str:
    """The picture in a file as a square of `size`, else of its shorter side up to the default; or why it cannot be."""
    try:
        if not file.is_file():
            return "is no file, or a link that leads nowhere"
        content = file.read_bytes()
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            image = _eight_bits(ImageOps.exif_transpose(opened))
        pixels = np.asarray(_square(image, size or min(*image.size, _LARGEST_DEFAULT)))
    except UnidentifiedImageError:
        return f"is no image in one of the formats {', '.join(_FORMATS)}" if content else "is empty"
    except Exception as error:  # Pillow's readers raise whatever the damage leads to
        return " ".join(str(error).split()) or type(error).__name__
    # Grey stored as colour is grey. WebP, which knows no grey, brings it back with channels that differ by 1.
    if pixels.ndim == 3 and np.ptp(pixels, axis=2).max() <= 1:
        pixels = pixels[..., 1].copy()  # a view would keep all three channels in memory
    return Picture(pixels, hashlib.sha256(content).digest())


def _eight_bits(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as L (grey) or RGB. Raises ValueError where the range of the values is not known.

    What is transparent is laid over white: its own colour is arbitrary, often black, and white is the paper that most
    viewers and documents show behind it. More than 8 bits are scaled by what the type can hold, not by the values of
    each image: a dark image stays dark.
    """
    if image.mode.startswith("I"):
        # Pillow holds 16 bits in I;16 or, depending on format and version, in the 32 bits of I.
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 65_535:
            raise ValueError(f"has values of {wide.min()} to {wide.max()}, not 16 bits; save it with 8 bits")
        return Image.fromarray(((wide.astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())
        if not 0 <= low <= high <= 255:
            raise ValueError(f"has values of {low:g} to {high:g}, neither 0..1 nor 0..255; save it with 8 bits")
        return Image.fromarray((values * (255 if high <= 1 else 1)).round().astype(np.uint8))
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    """The square in the middle, scaled (bilinear, antialiased)."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def _stacked(squares: Sequence[npt.NDArray[np.uint8]], size: int | None) -> npt.NDArray[np.uint8]:
    """The pictures as ``[N, C, S, S]``; S is `size`, else that of the smallest."""
    common = size or min(len(square) for square in squares)
    channels = max(1 if square.ndim == 2 else 3 for square in squares)
    images = np.empty((len(squares), channels, common, common), dtype=np.uint8)
    for place, square in enumerate(squares):
        fitted = square if len(square) == common else np.asarray(_square(Image.fromarray(square), common))
        images[place] = fitted if fitted.ndim == 2 else fitted.transpose(2, 0, 1)
    return images


def _listed(items: Sequence[str], separator: str) -> str:
    rest = [f"and {len(items) - _MOST_LISTED} more"] if len(items) > _MOST_LISTED else []
    return separator.join([*items[:_MOST_LISTED], *rest])
