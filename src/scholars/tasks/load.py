"""Make a task of a listing: headers read, the test part chosen, images decoded or left for later."""

import numpy as np

from scholars.tasks.decode_cache import decode_all
from scholars.tasks.decoding import read_headers
from scholars.tasks.holdout import choose_test_images, warn_about_duplicates
from scholars.tasks.image_files import ImageFiles, unreadable
from scholars.tasks.images import Images
from scholars.tasks.listing import DecodeOptions, ImageListing
from scholars.tasks.task import Task


def load_listing(listing: ImageListing, options: DecodeOptions) -> Task:
    """Return the task of a listing; its images are decoded now, memory-mapped, if ``options.decode``, else when needed.

    Raises InputError, listing them, for files that cannot be read.
    """
    results = read_headers(listing.read, listing.keys)
    if bad := [f"  {key}: {why}" for key, why in zip(listing.keys, results, strict=True) if isinstance(why, str)]:
        raise unreadable(listing.where, bad, len(listing.keys))
    headers = [header for header in results if not isinstance(header, str)]
    digests = [header.digest for header in headers]
    is_test = choose_test_images(listing, digests)
    warn_about_duplicates(listing, digests, is_test)
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
    everything = Images(pixels, listing.labels[order], files=files)
    train_count = int((~is_test).sum())
    return Task(listing.name, listing.classes, everything[:train_count], everything[train_count:])
