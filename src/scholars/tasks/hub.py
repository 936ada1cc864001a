"""Tasks from the Hugging Face hub: ``hf:owner/name``, by way of the library ``datasets``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from scholars.errors import InputError, extra_missing, nearest
from scholars.tasks.listing import Form, Listing, gathered, natural
from scholars.tasks.pictures import file_bytes
from scholars.tasks.task import Task, chosen, composed

PREFIX = "hf:"
_OPTIONS = ("config", "image", "label", "train", "test")
_TEST_SPLITS = ("test", "validation", "valid", "val", "dev")


def read_hub(source: str, form: Form, classes: Sequence[str] | None) -> Task:
    """Read a task from the Hugging Face hub, or from a local data set of its kind.

    source: ``hf:owner/name`` or ``hf:./folder``; where there is more than one choice it goes on like
        ``?image=img&label=fine_label&config=full&train=train&test=validation``. Unless named, the columns are found by
        their types, and the test part is the split ``test`` or ``validation``; a data set with one split has a part of
        each class held out, as `scholars.tasks.folder.read_folder` does
    form: what the images become
    classes: read these only, in this order

    Raises InputError where the library is not installed, there is no network, or columns are not found.
    """
    name, _, query = source.removeprefix(PREFIX).partition("?")
    options = dict(parse_qsl(query))
    for option in options:
        if option not in _OPTIONS:
            raise InputError(f"{source}: no option {option!r}. {nearest(option, _OPTIONS)}")
    splits = _loaded(source, name, options.get("config"))
    train = options.get("train", "train" if "train" in splits or len(splits) > 1 else next(iter(splits)))
    test = options.get("test") or next((split for split in _TEST_SPLITS if split in splits and split != train), None)
    for split in (train, test):
        if split is not None and split not in splits:
            raise InputError(f"{source}: it has no split {split!r}. {nearest(split, splits)}")
    parts = [split for split in (train, test) if split is not None]
    features = splits[train].features
    image = _column(source, "image", options.get("image"), features, _images_in(features))
    label = _column(source, "label", options.get("label"), features, _labels_in(features))
    raw = {part: splits[part].cast_column(image, _library(source).Image(decode=False)) for part in parts}
    given = {
        part: [composed(_class_name(source, part, features[label], value)) for value in raw[part][label]]
        for part in parts
    }
    found = {name for names in given.values() for name in names}
    declared = getattr(features[label], "names", None)
    every = [name for name in map(composed, declared) if name in found] if declared else sorted(found, key=natural)
    names = chosen(name, every, classes)
    kept = [(part, row, own) for part in parts for row, own in enumerate(given[part]) if own in names]

    def read(place: str) -> bytes:
        part, _, row = place.rpartition(" ")
        kept_as = raw[part][int(row)][image]
        content: bytes = kept_as["bytes"] or file_bytes(kept_as["path"])
        return content

    listing = Listing(
        name=Path(name).name,
        where=source,
        classes=names,
        labels=np.array([names.index(own) for _, _, own in kept], dtype=np.int64),
        places=[f"{part} {row}" for part, row, _ in kept],
        read=read,
        trained=sum(part == train for part, _, _ in kept) if test else None,
    )
    return gathered(listing, form)


def _library(source: str) -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError:
        raise extra_missing(f"{source}: reading from the Hugging Face hub", "hf") from None


def _loaded(source: str, name: str, config: str | None) -> dict[str, Any]:
    library = _library(source)
    library.disable_progress_bars()
    try:
        return dict(library.load_dataset(name, config))
    except Exception as error:  # whatever the network, the hub, or a reader of one of many formats raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{source}: Hugging Face datasets cannot load it: {reason}. Check the name and the network; once loaded, "
            "it is found without one"
        ) from error


def _images_in(features: Any) -> list[str]:
    return [column for column, feature in features.items() if type(feature).__name__ == "Image"]


def _labels_in(features: Any) -> list[str]:
    kinds = [column for column, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    return kinds or [column for column in features if column in ("label", "labels", "class")]


def _column(source: str, what: str, named: str | None, features: Any, found: Sequence[str]) -> str:
    if named is not None:
        if named not in features:
            raise InputError(f"{source}: it has no column {named!r}. {nearest(named, features)}")
        return named
    if len(found) != 1:
        which = f"these could be: {', '.join(found)}" if found else f"none is one; it has: {', '.join(features)}"
        raise InputError(f"{source}: which column is the {what}? {which}. Say it with ?{what}=COLUMN")
    return found[0]


def _class_name(source: str, part: str, feature: Any, value: Any) -> str:
    """A label as text. The hub's own way to say that there is none is None or -1."""
    if value is None or value == -1:
        raise InputError(f"{source}: split {part!r} has images without a label; choose another with ?test= or ?train=")
    names = getattr(feature, "names", None)
    return str(names[value] if names else value)
