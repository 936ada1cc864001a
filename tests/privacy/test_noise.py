"""The noise of private statistics: discrete, as wide as asked for, and never the same twice."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.stats import kstest

from scholars.errors import InputError
from scholars.privacy.noise import add_noise

COUNT, DEVIATION = 4000, 2.0**20


@pytest.mark.parametrize("insecure", [None, np.random.default_rng(0)], ids=["secure", "insecure"])
def test_noise_is_gaussian(insecure: np.random.Generator | None) -> None:
    """One in a million runs of the secure source fails: it has no seed."""
    values = np.arange(COUNT, dtype=np.int64) * 1000
    drawn = add_noise(values, DEVIATION, insecure) - values
    assert drawn.dtype == np.int64
    assert kstest(drawn / DEVIATION, "norm").pvalue > 1e-6
    # Low bits are as often 1 as 0.
    assert abs(int((drawn & 1).sum()) - COUNT / 2) < 5 * (COUNT / 4) ** 0.5


def test_secure_noise_is_never_the_same() -> None:
    values = np.zeros(8, np.int64)
    assert (add_noise(values, DEVIATION) != add_noise(values, DEVIATION)).any()


def test_the_library_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opendp.prelude", None)
    with pytest.raises(InputError, match=r"differential privacy needs the extra 'private'"):
        add_noise(np.zeros(1, np.int64), 1.0)
