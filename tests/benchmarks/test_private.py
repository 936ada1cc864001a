"""The attacks on private scholars find what is there to be found."""

from __future__ import annotations

import numpy as np
import private
import pytest

from scholars.privacy.account import noise_multiplier
from scholars.settings.privacy import Privacy


@pytest.mark.parametrize(("share", "holds"), [(1.0, True), (0.2, False)])
def test_the_canary_finds_noise_that_is_too_small(share: float, holds: bool) -> None:
    """With a fifth of the noise that epsilon 1 needs, epsilon 1 is refuted; with all of it, it is not."""
    multiplier = share * noise_multiplier(Privacy(epsilon=1, delta=1e-5))
    inside, outside = (np.array(list(private.suspicions(present, multiplier, 400))) for present in (True, False))
    assert (private.lower_bound(inside, outside, 1e-5) <= 1) == holds


def test_a_canary_is_as_far_from_none_as_the_multiplier_says() -> None:
    """Log likelihood ratios of a Gaussian mechanism are m^2 apart, with a standard deviation of m <= 1 / z."""
    inside, outside = (np.array(list(private.suspicions(present, 0.5, 400))) for present in (True, False))
    apart = (inside.mean() - outside.mean()) / np.r_[inside - inside.mean(), outside - outside.mean()].std()
    # 1 / 0.5, and four standard errors.
    assert 1.5 < apart < 2.3


def test_a_lower_bound_by_hand() -> None:
    """Of Gaussians one standard deviation apart not much is refuted, of those ten apart a large epsilon."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 2000))
    assert private.lower_bound(noise[0], noise[1], 1e-5) < 0.2
    assert 0.2 < private.lower_bound(noise[0] + 1, noise[1], 1e-5) < 4
    assert private.lower_bound(noise[0] + 10, noise[1], 1e-5) > 4


def test_shadow_scholars_find_who_was_learned() -> None:
    """Where a photo's margin is higher if it was learned, nearly all of them are found."""
    rng = np.random.default_rng(0)
    inside = rng.random((16, 400)) < 0.5
    blind = rng.normal(size=inside.shape)
    told = private.summarise(private.likelihood_ratios(blind + 12 * inside, inside), inside, rng)
    untold = private.summarise(private.likelihood_ratios(blind, inside), inside, rng)
    assert told["low"] <= told["rate"] <= told["high"]
    assert told["rate"] > 0.9
    assert untold["rate"] < 0.01
