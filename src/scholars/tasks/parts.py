"""Which pictures of a listing are for the test: those that it says, else some of each class, by their content."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scholars.errors import InputError, ScholarsWarning, shortlist

if TYPE_CHECKING:
    from scholars.tasks.listing import Listing

# 20 % of all SHA-256 digests are below.
_TEST_BELOW = (2**64 // 5).to_bytes(8, "big")


def held_out_of(listing: Listing, digests: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """Which pictures are for the test. Raises InputError for a class that has none to spare."""
    if listing.trained is not None:
        return np.arange(len(digests)) >= listing.trained
    held_out = np.zeros(len(digests), dtype=np.bool_)
    for label, name in enumerate(listing.classes):
        places: list[int] = np.flatnonzero(listing.labels == label).tolist()
        own = [digests[place] for place in places]
        if len(set(own)) == 1:
            what = "one image" if len(own) == 1 else f"one image, in {len(own)} copies"
            raise InputError(
                f"{listing.where}: class {name!r} holds only {what}, so that none can be held out for the test; add "
                "another, or give the source a test part"
            )
        held_out[places] = held_out_by(own)
    return held_out


def warn_of_copies(listing: Listing, digests: Sequence[bytes], held_out: npt.NDArray[np.bool_]) -> None:
    """Say where equal files are of different classes, and where a test image is one that is trained on."""
    first: dict[bytes, int] = {}
    of_two: list[tuple[int, int]] = []
    on_both: list[tuple[int, int]] = []
    for place, digest in enumerate(digests):
        other = first.setdefault(digest, place)
        if listing.labels[other] != listing.labels[place]:
            of_two.append((other, place))
        elif held_out[other] != held_out[place]:
            on_both.append((other, place))
    for pairs, what in ((on_both, "are in both parts, the training's and the test's"), (of_two, "are of two classes")):
        if pairs:
            lines = [f"  {listing.places[one]} and {listing.places[other]}" for one, other in pairs]
            text = f"{listing.where}: {len(pairs)} images {what}; remove one of each:\n{shortlist(lines, chr(10))}"
            warnings.warn(text, ScholarsWarning, stacklevel=2)


def held_out_by(digests: Sequence[bytes]) -> list[bool]:
    """Which pictures of a class are for the test, by their SHA-256: one at least, and not all.

    At least two of the digests differ. Each is judged by itself wherever that leaves an image on both sides, so that
    it stays on its side when files are renamed or others added.
    """
    distinct = set(digests)
    test = {digest for digest in distinct if digest < _TEST_BELOW} or {min(distinct)}
    if test == distinct:
        test.remove(max(distinct))
    return [digest in test for digest in digests]
