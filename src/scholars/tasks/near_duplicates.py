"""Find near-duplicates among photographs: bursts, and copies that were saved again at another size or quality.

A difference hash of 64 bits (dHash, Krawetz 2013) says of 8 x 8 places of the grey picture whether it is brighter than
its neighbour on the left. Photos of one composition, such as shirts on a floor, have close hashes, too: of 205 such
pairs of `clothing` two are copies. So the small grey pictures themselves must agree as well.
"""

from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# A smaller picture says too little: digits of one class would be copies of each other.
LEAST_SIDE = 64
# Bits of two hashes that may differ.
_MOST_BITS = 4
# Correlation of two grey pictures from which on they show the same. Of the pairs with close hashes in `caltech101` and
# `clothing`, shirts with other prints reach 0.980, and copies have 0.998 and more.
_LEAST_CORRELATION = 0.985
# Standard deviation of grey values from which on a picture shows anything.
_LEAST_CONTRAST = 2.0
_SIDE, _HASH_BYTES = 16, 8
FINGERPRINT_BYTES = _HASH_BYTES + _SIDE * _SIDE
# Of hashes that differ in four bits at most, one of five parts is equal: only those are compared.
_PARTS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))
# Pictures that are compared at a time with as many others.
_BLOCK = 512
# Of each byte.
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1, dtype=np.uint8)


def fingerprint(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Return what near-duplicates are found by, ``[264]``: the hash, then a grey picture of 16 x 16 pixels."""
    grey = picture.convert("L")
    steps = np.asarray(grey.resize((9, 8), Image.Resampling.LANCZOS), np.int16)
    brighter = np.packbits(steps[:, 1:] > steps[:, :-1])
    small = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    return np.concatenate([brighter, small.reshape(-1)])


def group_near_duplicates(fingerprints: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return ``[N]``, a number for each picture, equal for those that are linked by near-duplicates.

    fingerprints: ``[N, 264]``, of `fingerprint`
    """
    hashes = np.ascontiguousarray(fingerprints[:, :_HASH_BYTES]).view(np.uint64)[:, 0]
    pictures = fingerprints[:, _HASH_BYTES:].astype(np.float32)
    pictures -= pictures.mean(1, keepdims=True)
    contrast = pictures.std(1, keepdims=True)
    pictures /= np.maximum(contrast, _LEAST_CONTRAST) * _SIDE
    shown = np.flatnonzero(contrast[:, 0] >= _LEAST_CONTRAST)
    groups = np.arange(len(hashes))
    for start, bits in _PARTS:
        parts = (hashes[shown] >> np.uint64(start)) & np.uint64(2**bits - 1)
        order = shown[np.argsort(parts, kind="stable")]
        ends = np.flatnonzero(np.diff(np.sort(parts))) + 1
        for run in np.split(order, ends):
            for one, other in combinations_with_replacement(np.split(run, range(_BLOCK, len(run), _BLOCK)), 2):
                groups = _link(groups, hashes, pictures, one, other)
    return groups


def _link(
    groups: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    pictures: npt.NDArray[np.float32],
    one: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return the groups with those of the near-duplicates between two blocks of pictures made one."""
    if len(one) * len(other) <= 1 or (groups[one[0]] == np.concatenate([groups[one], groups[other]])).all():
        return groups
    differ = (hashes[one, None] ^ hashes[None, other]).view(np.uint8)
    close = _ONES[differ].reshape(len(one), len(other), _HASH_BYTES).sum(-1) <= _MOST_BITS
    same = close & (pictures[one] @ pictures[other].T >= _LEAST_CORRELATION)
    first, second = np.nonzero(same)
    return _merge(groups, one[first], other[second])


def _merge(
    groups: npt.NDArray[np.int64], one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the groups with those of each pair of pictures made one."""
    if not len(one):
        return groups
    links = coo_array((np.ones(len(one)), (groups[one], groups[other])), shape=(len(groups), len(groups)))
    _, merged = connected_components(links, directed=False)
    return np.asarray(merged, np.int64)[groups]
