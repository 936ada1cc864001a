"""Make a task of a listing: headers read, the test part chosen, images decoded or left for later."""

import numpy as np

from scholars.errors import InputError
from scholars.tasks.decode_cache import decode_all
from scholars.tasks.decoding import ImageHeader, check_files, read_headers
from scholars.tasks.holdout import choose_test_images, warn_about_duplicates
from scholars.tasks.image_files import ImageFiles, unreadable
from scholars.tasks.images import Images
from scholars.tasks.listing import DecodeOptions, ImageListing
from scholars.tasks.squares import warn_about_cropping
from scholars.tasks.task import Task


def load_listing(listing: ImageListing, options: DecodeOptions) -> Task:
    """Return the task of a listing; its images are decoded now, memory-mapped, if ``options.decode``, else when needed.

    Raises InputError, listing them, for files that cannot be read, unless they are to be skipped.
    """
    listing, headers = _read_all(listing, options.skip_unreadable)
    digests = [header.digest for header in headers]
    is_test = choose_test_images(listing, digests)
    warn_about_duplicates(listing, digests, is_test)
    warn_about_cropping(listing.where, [header.cropped for header in headers], options.fit)
    # By content within each part: what files are called changes nothing, and is not decoded again.
    order = sorted(range(len(headers)), key=lambda index: (bool(is_test[index]), digests[index]))
    files = ImageFiles(
        listing.where,
        [listing.keys[index] for index in order],
        listing.read,
        digests=np.frombuffer(b"".join(digests[index] for index in order), np.uint8).reshape(-1, 32),
        sides=np.array([headers[index].side for index in order], np.int64),
        sizes=np.array([headers[index].size for index in order], np.int64),
    )
    pixels = decode_all(files, options) if options.decode else None
    everything = Images(pixels, listing.labels[order], files=files, fit=options.fit)
    train_count = int((~is_test).sum())
    return Task(
        listing.name,
        listing.classes,
        everything[:train_count],
        everything[train_count:],
        skipped=listing.skipped,
        notes=listing.notes,
    )


def _read_all(listing: ImageListing, skip_unreadable: bool) -> tuple[ImageListing, list[ImageHeader]]:
    """Return the listing of the files that can be read, and their headers."""
    found = read_headers(listing.read, listing.keys)
    if skip_unreadable or any(isinstance(each, str) for each in found):
        # One file that cannot be read: people want to know of all at once, and damage shows when files are decoded.
        found = check_files(listing.read, listing.keys)
    bad = {place: why for place, why in enumerate(found) if isinstance(why, str)}
    if bad and not skip_unreadable:
        lines = [f"  {listing.keys[place]}: {why}" for place, why in bad.items()]
        raise unreadable(listing.where, lines, len(listing.keys))
    left = listing.without(bad)
    if gone := [name for label, name in enumerate(listing.classes) if label not in left.labels]:
        raise InputError(f"{listing.where}: no image of class {gone[0]!r} can be read; replace them, or leave it out")
    return left, [header for header in found if not isinstance(header, str)]
