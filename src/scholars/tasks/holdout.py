"""Choose the test images of a listing: its own test part, else some images of each class, by their content."""

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scholars.errors import InputError, ScholarsWarning, shortlist
from scholars.tasks.listing import ImageListing

# 20 % of all SHA-256 digests are below.
_TEST_BELOW = (2**64 // 5).to_bytes(8, "big")


def choose_test_images(listing: ImageListing, digests: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """Return ``[N]``, whether each image is for the test. Raises InputError for a class of which all images are equal.

    digests: SHA-256 of each image file
    """
    if listing.train_count is not None:
        return np.arange(len(digests)) >= listing.train_count
    is_test = np.zeros(len(digests), dtype=np.bool_)
    for label, name in enumerate(listing.classes):
        indices: list[int] = np.flatnonzero(listing.labels == label).tolist()
        own = [digests[index] for index in indices]
        if len(set(own)) == 1:
            what = "one image" if len(own) == 1 else f"one image, in {len(own)} copies"
            raise InputError(
                f"{listing.where}: class {name!r} holds only {what}, so that none can be held out for the test; add "
                "another, or give the data set a test part"
            )
        is_test[indices] = hold_out_by_digest(own)
    return is_test


def hold_out_by_digest(digests: Sequence[bytes]) -> list[bool]:
    """Return which images of a class are for the test, by their SHA-256: one at least, and not all.

    At least two of the digests differ. Each is decided by itself wherever that leaves an image on both sides, so that
    it stays on its side when files are renamed or others added.
    """
    distinct = set(digests)
    test = {digest for digest in distinct if digest < _TEST_BELOW} or {min(distinct)}
    if test == distinct:
        test.remove(max(distinct))
    return [digest in test for digest in digests]


def warn_about_duplicates(listing: ImageListing, digests: Sequence[bytes], is_test: npt.NDArray[np.bool_]) -> None:
    """Warn of equal files in two classes, and of test images that are also trained on."""
    first: dict[bytes, int] = {}
    in_two_classes: list[tuple[int, int]] = []
    in_both_parts: list[tuple[int, int]] = []
    for index, digest in enumerate(digests):
        other = first.setdefault(digest, index)
        if listing.labels[other] != listing.labels[index]:
            in_two_classes.append((other, index))
        elif is_test[other] != is_test[index]:
            in_both_parts.append((other, index))
    for pairs, what in ((in_both_parts, "both parts, train and test"), (in_two_classes, "two classes")):
        if pairs:
            lines = [f"  {listing.keys[one]} and {listing.keys[other]}" for one, other in pairs]
            text = (
                f"{listing.where}: {len(pairs)} images are in {what}; remove one of each:\n{shortlist(lines, chr(10))}"
            )
            warnings.warn(text, ScholarsWarning, stacklevel=2)
