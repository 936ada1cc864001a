"""Say which image files can be read, by their format and ending, and why others are not."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from PIL import features

# Pillow's format -> file name endings. Only these: some of Pillow's other readers start programs.
_ALWAYS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jfif", ".jpe"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
}
_AVIF, _HEIF = (".avif",), (".heic", ".heif", ".hif")
# Ending -> what such files are, and what to do. First those that may hold photos.
_OTHERS = {
    **dict.fromkeys(_HEIF, "HEIC photos: read with the extra 'heic', pip install '.[heic]'"),
    **dict.fromkeys(_AVIF, "AVIF images: a newer Pillow reads them"),
    **dict.fromkeys(
        (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"),
        "a camera's raw files: save them as JPEG",
    ),
    **dict.fromkeys((".psd", ".svg", ".pdf", ".eps", ".ai", ".jp2", ".jxl", ".ico"), "save them as JPEG or PNG"),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".3gp", ".mpg"), "videos"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz"), "archives: unpack them"),
}
# Beside photos without anybody's doing; they are not worth a word, as hidden files are not.
_OF_THE_SYSTEM = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))


@cache
def image_formats() -> Mapping[str, tuple[str, ...]]:
    """Return Pillow's formats that are read here, each with the endings of its files.

    AVIF where Pillow was built with it; HEIC, as iPhones write it, with the package pillow-heif.
    """
    found = dict(_ALWAYS)
    if features.check("avif"):
        found["AVIF"] = _AVIF
    if find_spec("pillow_heif"):
        import_module("pillow_heif").register_heif_opener()
        found["HEIF"] = _HEIF
    return found


@cache
def image_suffixes() -> frozenset[str]:
    """Return the endings of the image files that are read, in lower case."""
    return frozenset(suffix for suffixes in image_formats().values() for suffix in suffixes)


def is_image_name(name: str) -> bool:
    """Return whether a file of this name is read as an image, by its ending."""
    return _suffix(name) in image_suffixes()


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or macOS's own in an archive, or nobody would miss it."""
    return name.startswith(".") or name == "__MACOSX" or name.casefold() in _OF_THE_SYSTEM


def why_not_read(name: str) -> str | None:
    """Return why a file of this name is left out, for people; None if it is read, or nobody would miss it."""
    if is_hidden(name) or is_image_name(name):
        return None
    return _OTHERS.get(_suffix(name), "no images")


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if stem and dot else ""
