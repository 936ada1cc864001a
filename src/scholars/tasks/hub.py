"""Tasks from the Hugging Face hub: ``hf:owner/name``, read by the library ``datasets``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from scholars.errors import InputError, did_you_mean, import_extra, one_line
from scholars.tasks.decoding import read_file
from scholars.tasks.listing import DecodeOptions, ImageListing, natural_key
from scholars.tasks.load import load_listing
from scholars.tasks.task import Task, nfc, resolve_classes

PREFIX = "hf:"
_QUERY_KEYS = ("config", "image", "label", "train", "test")
_TEST_SPLITS = ("test", "validation", "valid", "val", "dev")


def read_hub(source: str, options: DecodeOptions, classes: Sequence[str] | None) -> Task:
    """Return the task of a data set on the Hugging Face hub, or of a local one in its format.

    source: ``hf:owner/name`` or ``hf:./folder``; where there is more than one choice it goes on like
        ``?image=img&label=fine_label&config=full&train=train&test=validation``. Unless named, the columns are found by
        their types, and the test part is the split ``test`` or ``validation``; a data set with one split has a part of
        each class held out, as `scholars.tasks.folder.read_folder` does
    options: how to decode the images
    classes: read these only, in this order

    Raises InputError if the library is not installed, there is no network, or columns are not found.
    """
    name, _, query = source.removeprefix(PREFIX).partition("?")
    named = dict(parse_qsl(query))
    for key in named:
        if key not in _QUERY_KEYS:
            raise InputError(f"{source}: no option {key!r}. {did_you_mean(key, _QUERY_KEYS)}")
    library = _import_datasets(source)
    splits = _load_splits(library, source, name, named.get("config"))
    train = named.get("train", "train" if "train" in splits or len(splits) > 1 else next(iter(splits)))
    test = named.get("test") or next((split for split in _TEST_SPLITS if split in splits and split != train), None)
    parts = [train] if test is None else [train, test]
    for part in parts:
        if part not in splits:
            raise InputError(f"{source}: it has no split {part!r}. {did_you_mean(part, splits)}")
    features = splits[train].features
    image = _choose_column(source, "image", named.get("image"), features, _find_image_columns(features))
    label = _choose_column(source, "label", named.get("label"), features, _find_label_columns(features))
    encoded = {part: splits[part].cast_column(image, library.Image(decode=False)) for part in parts}
    labels = {
        part: [nfc(_class_name(source, part, features[label], value)) for value in encoded[part][label]]
        for part in parts
    }
    found = {own for part in parts for own in labels[part]}
    declared = getattr(features[label], "names", None)
    known = [own for own in map(nfc, declared) if own in found] if declared else sorted(found, key=natural_key)

    def pairs(part: str) -> list[tuple[str, str]]:
        return [(f"{part} {row}", own) for row, own in enumerate(labels[part])]

    def read(key: str) -> bytes:
        part, _, row = key.rpartition(" ")
        stored = encoded[part][int(row)][image]
        content: bytes = stored["bytes"] or read_file(stored["path"])
        return content

    listing = ImageListing.of(
        Path(name).name,
        source,
        resolve_classes(name, known, classes),
        train=pairs(train),
        test=None if test is None else pairs(test),
        read=read,
    )
    return load_listing(listing, options)


def _import_datasets(source: str) -> Any:
    library = import_extra("datasets", "hf", f"{source}: reading from the Hugging Face hub")
    library.disable_progress_bars()
    return library


def _load_splits(library: Any, source: str, name: str, config: str | None) -> dict[str, Any]:
    """Return the splits of a data set by their names. Raises InputError."""
    try:
        return dict(library.load_dataset(name, config))
    except Exception as error:  # whatever the network, the hub, or a reader of one of many formats raises
        raise InputError(
            f"{source}: Hugging Face datasets cannot load it: {one_line(error)}. Check the name and the network; once "
            "loaded, it is found without one"
        ) from error


def _find_image_columns(features: Any) -> list[str]:
    return [column for column, feature in features.items() if type(feature).__name__ == "Image"]


def _find_label_columns(features: Any) -> list[str]:
    typed = [column for column, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    return typed or [column for column in features if column in ("label", "labels", "class")]


def _choose_column(source: str, what: str, named: str | None, features: Any, found: Sequence[str]) -> str:
    """Return the column that the user named, else the only one that was found. Raises InputError."""
    if named is not None:
        if named not in features:
            raise InputError(f"{source}: it has no column {named!r}. {did_you_mean(named, features)}")
        return named
    if len(found) != 1:
        which = f"these could be: {', '.join(found)}" if found else f"none is one; it has: {', '.join(features)}"
        raise InputError(f"{source}: which column is the {what}? {which}. Say it with ?{what}=COLUMN")
    return found[0]


def _class_name(source: str, part: str, feature: Any, value: Any) -> str:
    """Return a label as text. Raises InputError for None and -1, which on the hub mean that there is no label."""
    if value is None or value == -1:
        raise InputError(f"{source}: split {part!r} has images without a label; choose another with ?test= or ?train=")
    names = getattr(feature, "names", None)
    return str(names[value] if names else value)
