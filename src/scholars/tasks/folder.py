"""Tasks from folders of image files, one folder for each class, and from archives of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from scholars.errors import InputError
from scholars.tasks.archives import open_tree
from scholars.tasks.layout import LayoutReader
from scholars.tasks.listing import DecodeOptions, ImageListing
from scholars.tasks.load import load_listing
from scholars.tasks.skipped import Skipped
from scholars.tasks.task import Task, nfc, resolve_classes
from scholars.tasks.trees import Tree


def read_folder(
    path: str | Path,
    options: DecodeOptions,
    classes: Sequence[str] | None,
    known: Sequence[str] = (),
    follow_links: str | Path | None = None,
) -> Task:
    """Return the task of a folder of image files (of a moving image the first frame is read), or of an archive of it.

    The folder holds ``train/CLASS/*`` and ``test/CLASS/*``, in capitals or not, or ``CLASS/*`` alone. Then, unless
    ``options`` say otherwise, about 20 % of each class are held out, by their content, near-duplicates together
    (`scholars.tasks.holdout`); of a class of one or two photos none. ``validation/CLASS/*`` is the test part
    where there is no other, else left out. Folders inside a class folder belong to the class. A zip or tar file holds
    the same; a single outer folder in it, of nothing but folders, holds the classes.

    Files that are not read are counted in the task's ``skipped``: other endings, images beside ``train`` and ``test``
    or beside the class folders, parts that are not used. Hidden files and folders are not even counted. A class folder
    without images is left out, with a `ScholarsWarning`.

    options: how to decode the images. Class names are those of the folders, in natural order: "2" before "10"; those
        that `scholars.storage.class_folders` wrote are read back
    classes: read these only, in this order
    known: classes that a scholar knows
    follow_links: links may also lead to what is in this folder

    Raises InputError if the folder is not laid out like that, if a class folder holds nothing but folders, which may be
    the classes, and neither ``classes`` nor ``known`` names it; if a link leaves the folder or leads in a circle, and
    if images cannot be read: then it lists them.
    """
    found = open_tree(Path(path), follow_links)
    if found is None:
        raise InputError(f"{path}: is not a folder")
    return load_listing(list_images(*found, classes, known), options)


def list_images(
    tree: Tree, root: PurePosixPath, classes: Sequence[str] | None = None, known: Sequence[str] = ()
) -> ImageListing:
    """Return the listing of the images in a folder of a tree; none is read. See `read_folder`."""
    reader = LayoutReader(tree, root, tuple(nfc(name) for name in classes or ()), tuple(known))
    if tree.is_archive:
        reader.enter_outer_folder()
    parts = reader.find_parts()
    train = reader.list_classes(parts[0] if parts else reader.root)
    test = reader.list_classes(parts[1]) if parts else {}
    if unknown := [name for name in test if name not in train]:
        raise InputError(
            f"{reader.place(reader.root)}: test has classes that train does not have: {', '.join(unknown)} (train has "
            f"{', '.join(train)}); name them alike, or move them away"
        )
    task = root.name or tree.name
    names = resolve_classes(task, tuple(train), classes)

    def pairs(part: dict[str, list[PurePosixPath]]) -> list[tuple[str, str]]:
        return [(str(file), name) for name in names for file in part.get(name, ())]

    return ImageListing.of(
        task,
        tree.source,
        names,
        train=pairs(train),
        test=pairs(test) if parts else None,
        read=tree.read,
        skipped=tuple(reader.skipped),
        notes=tuple(reader.notes),
    )


def iter_image_files(
    path: Path, skipped: list[Skipped] | None = None, follow_links: str | Path | None = None
) -> Iterator[Path]:
    """Yield the image files in a folder and in those below it, in natural order; those in an archive, as if in it.

    skipped: the files that are left out are added to it, at the end
    follow_links: links may also lead to what is in this folder

    No more names of a folder's files are in memory than one folder holds. Raises InputError for links, as `read_folder`
    does.
    """
    found = open_tree(path, follow_links)
    if found is None:
        raise InputError(f"{path}: is not a folder")
    reader = LayoutReader(*found)

    def walk() -> Iterator[Path]:
        yield from map(reader.place, reader.walk(reader.root, ()))
        if skipped is not None:
            skipped.extend(replace(each, file=str(reader.place(PurePosixPath(each.file)))) for each in reader.skipped)

    return walk()
