"""The data directory: where data sets are looked for by name, and downloaded to."""

import os
from pathlib import Path

import platformdirs

from scholars.errors import InputError
from scholars.storage.files import expand_user

# Where torchvision keeps the image folder of a data set, and what in it is no class.
_INSIDE, _NO_CLASSES = "101_ObjectCategories", ("BACKGROUND_Google",)


def resolve_data_directory(data_dir: str | Path | None) -> Path:
    """Return the directory in which data sets are looked for. Raises InputError if the given one does not exist."""
    environment = os.environ.get("SCHOLARS_DATA")
    given, by = (environment, "$SCHOLARS_DATA") if data_dir is None else (data_dir, "--data-dir")
    if not given:
        return platformdirs.user_cache_path("scholars", appauthor=False)
    root = expand_user(given)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist; make it"
        raise InputError(f"data directory {root} (from {by}) {what}, or name another with --data-dir")
    return root


def places(name: str, root: Path) -> list[Path]:
    """Return where a data set of this name may be in the data directory, in the order in which they are looked at."""
    return [root / f"{name}.npz", root / name]


def find_local(name: str, root: Path) -> Path | None:
    """Return the ``.npz`` file or the image folder of this very name in the data directory; None if there is none.

    Of Caltech-101 as torchvision unpacks it, the folder of class folders in it.
    """
    if not name or Path(name).name != name or not root.is_dir():
        return None
    npz, folder = places(name, root)
    if npz.is_file():
        return npz
    # By its listed name: where case does not count, `mnist` would find what torchvision keeps in `MNIST`.
    if folder.is_dir() and name in {entry.name for entry in root.iterdir()}:
        return folder / _INSIDE if (folder / _INSIDE).is_dir() else folder
    return None


def not_classes(folder: Path) -> tuple[str, ...]:
    """Return the folders in an image folder of torchvision's that are no classes."""
    return _NO_CLASSES if folder.name == _INSIDE else ()
