"""Make a task of a listing: headers read, the test part chosen, images decoded or left for later."""

import numpy as np

from scholars.errors import InputError
from scholars.tasks.decode_cache import decode_all
from scholars.tasks.decoding import ImageHeader, read_headers
from scholars.tasks.holdout import choose_deciders, describe_split, group_copies, hold_out, warn_about_copies
from scholars.tasks.image_files import ImageFiles, unreadable
from scholars.tasks.images import Images
from scholars.tasks.listing import DecodeOptions, ImageListing
from scholars.tasks.squares import warn_about_cropping
from scholars.tasks.task import Task


def load_listing(listing: ImageListing, options: DecodeOptions) -> Task:
    """Return the task of a listing; its images are decoded now, memory-mapped, if ``options.decode``, else when needed.

    Raises InputError, listing them, for files that cannot be read, unless they are to be skipped.
    """
    listing, headers = _read_all(listing, options)
    labels, notes = listing.labels, list(listing.notes)
    digests = np.frombuffer(b"".join(header.digest for header in headers), np.uint8).reshape(-1, 32)
    fingerprints = [header.fingerprint for header in headers]
    groups = group_copies(digests, fingerprints)
    deciders = choose_deciders(labels, digests, groups)
    whole = listing.train_count is None and not options.split
    if listing.train_count is not None:
        is_test = np.arange(len(headers)) >= listing.train_count
    elif options.split:
        is_test = hold_out(labels, deciders)
        notes += describe_split(listing.classes, labels, digests, deciders, is_test)
    else:
        is_test = np.zeros(len(headers), np.bool_)
    warn_about_copies(listing.where, listing.keys, labels, groups, is_test)
    warn_about_cropping(listing.where, [header.cropped for header in headers], options.fit)
    # By content within each part: what files are called changes nothing, and is not decoded again.
    order = np.lexsort((*digests.T[::-1], is_test))
    files = ImageFiles(
        listing.where,
        [listing.keys[index] for index in order],
        listing.read,
        digests=digests[order],
        deciders=deciders[order],
        fingerprints=[fingerprints[index] for index in order],
        sides=np.array([headers[index].side for index in order], np.int64),
        sizes=np.array([headers[index].size for index in order], np.int64),
    )
    pixels = decode_all(files, options) if options.decode else None
    everything = Images(pixels, labels[order], files=files, fit=options.fit)
    train_count = int((~is_test).sum())
    return Task(
        listing.name,
        listing.classes,
        everything[:train_count],
        everything if whole else everything[train_count:],
        skipped=listing.skipped,
        notes=tuple(notes),
        split="given" if listing.train_count is not None else "whole" if whole else "held out",
    )


def _read_all(listing: ImageListing, options: DecodeOptions) -> tuple[ImageListing, list[ImageHeader]]:
    """Return the listing of the files that can be read, and their headers."""
    skip_unreadable = options.skip_unreadable
    # Where images are decoded now, that is reported.
    on_progress = DecodeOptions().on_progress if options.decode else options.on_progress
    found = read_headers(listing.read, listing.keys, skip_unreadable, on_progress)
    if not skip_unreadable and any(isinstance(each, str) for each in found):
        # One file that cannot be read: people want to know of all at once.
        found = read_headers(listing.read, listing.keys, check=True)
    bad = {place: why for place, why in enumerate(found) if isinstance(why, str)}
    if bad and not skip_unreadable:
        lines = [f"  {listing.keys[place]}: {why}" for place, why in bad.items()]
        raise unreadable(listing.where, lines, len(listing.keys))
    left = listing.without(bad)
    if gone := [name for label, name in enumerate(listing.classes) if label not in left.labels]:
        raise InputError(f"{listing.where}: no image of class {gone[0]!r} can be read; replace them, or leave it out")
    return left, [header for header in found if not isinstance(header, str)]
