"""Open the task that a user names: a known name, an image folder, a file, or a name on the Hugging Face hub."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from scholars.errors import InputError, did_you_mean
from scholars.settings import Fit
from scholars.storage.files import expand_user
from scholars.tasks.archive_formats import ARCHIVE_SUFFIXES
from scholars.tasks.archives import is_in_archive
from scholars.tasks.csv_table import read_csv
from scholars.tasks.data_directory import find_local, places, resolve_data_directory
from scholars.tasks.folder import read_folder
from scholars.tasks.hub import PREFIX, read_hub
from scholars.tasks.listing import DecodeOptions
from scholars.tasks.names import NAMES, NEED_NO_DATA
from scholars.tasks.npz import read_npz
from scholars.tasks.squares import cropped_share, warn_about_cropping
from scholars.tasks.task import Task


def open_task(
    source: str | Path,
    *,
    data_dir: str | Path | None = None,
    classes: Sequence[str] | None = None,
    known: Sequence[str] = (),
    size: int | None = None,
    channels: int | None = None,
    fit: Fit = "crop",
    decode: bool = True,
    skip_unreadable: bool = False,
    split: bool = True,
    follow_links: str | Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Task:
    """Open a task.

    source: one of `NAMES`, an image folder, a ``.zip``, ``.tar``, ``.tar.gz`` or ``.tgz`` file of one, an ``.npz`` or
        ``.csv`` file, ``hf:owner/name``, or the name of a folder or ``.npz`` file in the data directory. Text that is a
        known name always means that name, and ``./mnist`` or a `Path` always a path. ``photos.zip/cat`` is a folder in
        an archive.
    data_dir: where names are looked for and downloaded to; unless given, ``$SCHOLARS_DATA``, else the user's cache
        directory. ``digits``, ``printed`` and ``street`` need none.
    classes: these classes only, in this order
    known: classes that a scholar knows: a folder of folders that is called so is that class, and no mistake
    size, channels: what the images of a folder, a ``.csv`` or the hub are decoded to: squares of ``size`` pixels a
        side, else of the shortest side of all the images, but at most 64; 1 channel (grey) or 3 (RGB), else grey if no
        image shows any colour. The decoded images are kept as a memory-mapped array in ``$SCHOLARS_CACHE``, else in the
        user's cache directory, for as long as the source is there
    fit: how images become squares (see `Task.resized`), as ``image.fit`` of the scholar says. A `ScholarsWarning` tells
        of images that are cropped, if most of them lose more than a third of their longer side
    decode: whether images in files are decoded now; if not, when they are needed: a backbone looks at the files
    skip_unreadable: whether image files that cannot be read are left out, and counted in the task's ``skipped``
    split: whether about a fifth of the images is held out as the test part where the source has none; if not, both
        parts are all images, to be scored, and the task's ``split`` is "whole"
    follow_links: a folder into which links in an image folder, and paths in a ``.csv`` file, may lead; else they must
        stay in the folder itself
    on_progress: called with (images decoded, all images)

    Raises InputError if there is no such name or file, or if it cannot be used.
    """
    options = DecodeOptions(channels, size, fit, decode, skip_unreadable, split, on_progress)
    if isinstance(source, str) and source.startswith(PREFIX):
        return read_hub(source, options, classes)
    if isinstance(source, str) and source in NAMES:
        folder = None if source in NEED_NO_DATA else find_local(source, resolve_data_directory(data_dir))
        if folder is None or not folder.is_dir():
            return _select(_open_named(source, data_dir), classes)
        return replace(read_folder(folder, options, classes, known, follow_links), name=source)
    path = expand_user(source)
    # Path("") is the current folder, which nobody means by giving an empty name.
    if source != "" and (path.exists() or is_in_archive(path)):
        return _read_path(path, options, classes, known, follow_links)
    root, name = resolve_data_directory(data_dir), str(source)
    if (found := find_local(name, root)) is None:
        also = f" (nor {' or '.join(map(str, places(name, root)))})" if Path(name).name == name else ""
        raise InputError(
            f"{name!r} is neither a known task nor a file or folder that exists{also}. "
            f"{did_you_mean(name.lower(), NAMES)}"
        )
    return replace(_read_path(found, options, classes, known, follow_links), name=name)


def _read_path(
    path: Path,
    options: DecodeOptions,
    classes: Sequence[str] | None,
    known: Sequence[str],
    follow_links: str | Path | None,
) -> Task:
    if path.is_dir() or is_in_archive(path):
        return read_folder(path, options, classes, known, follow_links)
    match path.suffix.lower():
        case ".npz":
            return _select(_read_arrays(path, options.fit), classes)
        case ".csv":
            return read_csv(path, options, classes, follow_links)
    raise InputError(
        f"{path}: is neither an image folder nor an archive of one ({', '.join(ARCHIVE_SUFFIXES)}), nor an .npz or "
        ".csv file"
    )


def _read_arrays(path: Path, fit: Fit) -> Task:
    task = read_npz(path)
    height, width = task.train.images.shape[2:]
    warn_about_cropping(path, [cropped_share(width, height)] * (len(task.train) + len(task.test)), fit)
    return task


def _select(task: Task, classes: Sequence[str] | None) -> Task:
    return task if classes is None else task.select_classes(classes)


def _open_named(name: str, data_dir: str | Path | None) -> Task:
    match name:
        case "digits":
            from scholars.tasks.digits import read_digits

            return read_digits()
        case "printed":
            from scholars.tasks.printed import draw_printed

            return draw_printed()
        case "street":
            from scholars.tasks.street import draw_street

            return draw_street()
    from scholars.tasks.torchvision_sets import open_torchvision_set

    return open_torchvision_set(name, data_dir)
