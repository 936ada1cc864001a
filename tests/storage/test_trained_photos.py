"""Photos are found again by what is kept of them, and no others."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from scholars.storage.trained_photos import CHARACTERS, encode_trained, find_trained


def digests(*names: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(hashlib.sha256(name.encode()).digest() for name in names), np.uint8).reshape(-1, 32)


def test_what_was_trained_on_is_found_again() -> None:
    kept = encode_trained(digests("a", "b", "c"), "seed 0, today")
    assert find_trained(kept, digests("c", "d", "a"), "seed 0, today").tolist() == [True, False, True]
    assert len(kept) == 3 * CHARACTERS
    assert encode_trained(digests("c", "a", "b"), "seed 0, today") == kept


def test_what_is_kept_of_one_task_says_nothing_of_another() -> None:
    assert not find_trained(encode_trained(digests("a"), "one"), digests("a"), "other").any()


def test_nothing_is_found_where_nothing_was_kept() -> None:
    assert encode_trained(digests(), "x") == ""
    assert find_trained("", digests("a", "b"), "x").tolist() == [False, False]
