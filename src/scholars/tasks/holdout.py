"""Choose the test images of a data set that has no test part: some of each class, by their content.

The side of an image follows from its own content, so that it stays there when files are renamed or others added.
Near-duplicates of a class are on one side, all of them: what is nearly trained on tests nothing.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scholars.errors import ScholarsWarning, shortlist
from scholars.tasks.near_duplicates import group_near_duplicates

# 20 % of all SHA-256 digests are below.
_TEST_BELOW = (2**64 // 5).to_bytes(8, "big")
# Of a class with fewer photos that differ, all are trained on, and none tests it.
LEAST_TO_SPLIT = 3


def group_copies(
    digests: npt.NDArray[np.uint8], fingerprints: Sequence[npt.NDArray[np.uint8] | None]
) -> npt.NDArray[np.int64]:
    """Return ``[N]``, a number for each image, equal for equal files and for near-duplicates.

    digests: ``[N, 32]`` uint8, SHA-256 of each image
    fingerprints: ``[N]``, see `scholars.tasks.near_duplicates`; None of small pictures
    """
    whole = np.ascontiguousarray(digests).view("V32")[:, 0]
    _, first, group = np.unique(whole, return_index=True, return_inverse=True)
    of_digest = np.arange(len(first))
    prints = [fingerprints[place] for place in first.tolist()]
    photographs = np.array([place for place, found in enumerate(prints) if found is not None], np.int64)
    if len(photographs):
        near = group_near_duplicates(np.stack([found for found in prints if found is not None]))
        _, named_by = np.unique(near, return_index=True)
        of_digest[photographs] = photographs[named_by[np.unique(near, return_inverse=True)[1].reshape(-1)]]
    return of_digest[group.reshape(-1)]


def choose_deciders(
    labels: npt.NDArray[np.int64], digests: npt.NDArray[np.uint8], groups: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Return ``[N, 32]`` uint8, for each image the digest that decides on its side.

    That is its own, or among near-duplicates of its class the one that ends lowest. How a digest ends says nothing of
    its side: a fifth of such groups is held out. By the lowest digest it would be two thirds of the groups of five.

    digests: ``[N, 32]`` uint8, SHA-256 of each image
    groups: ``[N]``, of `group_copies`
    """
    order = np.lexsort((*digests.T, groups, labels))
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (np.diff(labels[order]) != 0) | (np.diff(groups[order]) != 0)
    deciders = np.empty_like(digests)
    deciders[order] = digests[order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]]
    return deciders


def hold_out(labels: npt.NDArray[np.int64], deciders: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return ``[N]``, whether each image is for the test: about a fifth of each class, one at least, and not all.

    None of a class of less than `LEAST_TO_SPLIT` photos that differ.
    """
    held_out = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        digests = [row.tobytes() for row in deciders[own]]
        if len(set(digests)) >= LEAST_TO_SPLIT:
            held_out[own] = hold_out_by_digest(digests)
    return held_out


def hold_out_by_digest(digests: Sequence[bytes]) -> list[bool]:
    """Return which images of a class are for the test, by their SHA-256: one at least, and not all.

    At least two of the digests differ. Each is decided by itself wherever that leaves an image on both sides, so that
    it stays on its side when files are renamed or others added.
    """
    distinct = set(digests)
    test = {digest for digest in distinct if is_low(digest)} or {min(distinct)}
    if test == distinct:
        test.remove(max(distinct))
    return [digest in test for digest in digests]


def is_low(digest: bytes) -> bool:
    """Return whether a digest by itself puts an image on the side of the test."""
    return digest < _TEST_BELOW


def describe_split(
    classes: Sequence[str],
    labels: npt.NDArray[np.int64],
    digests: npt.NDArray[np.uint8],
    deciders: npt.NDArray[np.uint8],
    held_out: npt.NDArray[np.bool_],
) -> list[str]:
    """Return lines for people: classes without a test image, and photos that near-duplicates keep on their side."""
    lines = []
    untested = [name for label, name in enumerate(classes) if not held_out[labels == label].any()]
    if untested:
        lines.append(
            f"untested: {shortlist(untested, ', ')}: of less than three photos that differ all are trained on, and the "
            "accuracy of such a class is unknown"
        )
    moved = sum(
        is_low(own.tobytes()) != is_low(decider.tobytes()) for own, decider in zip(digests, deciders, strict=True)
    )
    if moved:
        lines.append(
            f"{moved:,} photos change sides, to be with their near-duplicates (bursts, copies that were saved again)"
        )
    return lines


def warn_about_copies(
    where: Path | str,
    keys: Sequence[str],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    is_test: npt.NDArray[np.bool_],
) -> None:
    """Warn of photos that are equal or nearly so and are in two classes, or in both the train and the test part.

    groups: ``[N]``, of `group_copies`
    """
    first: dict[int, int] = {}
    in_two_classes: list[tuple[int, int]] = []
    in_both_parts: list[tuple[int, int]] = []
    for index, group in enumerate(groups.tolist()):
        other = first.setdefault(group, index)
        if labels[other] != labels[index]:
            in_two_classes.append((other, index))
        elif is_test[other] != is_test[index]:
            in_both_parts.append((other, index))
    for pairs, what in ((in_both_parts, "both parts, train and test"), (in_two_classes, "two classes")):
        if pairs:
            lines = [f"  {keys[one]} and {keys[other]}" for one, other in pairs]
            text = (
                f"{where}: {len(pairs)} images, or near-duplicates of them, are in {what}; remove one of each:\n"
                f"{shortlist(lines, chr(10))}"
            )
            warnings.warn(text, ScholarsWarning, stacklevel=2)
