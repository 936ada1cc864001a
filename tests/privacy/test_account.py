"""The account of private tasks, against formulas and figures from elsewhere."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm

from scholars.privacy.account import add_accounts, compose_account, noise_multiplier
from scholars.settings.privacy import Privacy
from scholars.storage.privacy_account import PrivacyCost


def cost(number: int, z: float, *, group: int = 1, disjoint: bool = False) -> PrivacyCost:
    return PrivacyCost(id=f"{number:032x}", noise_multiplier=z, group=group, disjoint=disjoint)


def delta_of(epsilon: float, mu: float) -> float:
    """Balle & Wang 2018, theorem 8: delta = Phi(mu / 2 - epsilon / mu) - e^epsilon Phi(-mu / 2 - epsilon / mu)."""
    return float(norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu))


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0, 8.0])
def test_noise_is_as_small_as_the_guarantee_allows(epsilon: float) -> None:
    z = noise_multiplier(Privacy(epsilon=epsilon, delta=1e-5))
    assert delta_of(epsilon, 1 / z) == pytest.approx(1e-5, rel=1e-3)


def test_three_tasks_by_hand() -> None:
    """Noise of 2, 3 and 6: 1/4 + 1/9 + 1/36 = 14/36, as one mechanism of noise 6 / sqrt(14)."""
    account = compose_account([cost(1, 2), cost(2, 3), cost(3, 6)], 1e-5)
    assert delta_of(account.epsilon, math.sqrt(14) / 6) == pytest.approx(1e-5, rel=1e-3)
    # Nobody of the second is in the first: 1/4 is the larger of both, and the third adds to it.
    disjoint = compose_account([cost(1, 2), cost(2, 3, disjoint=True), cost(3, 6)], 1e-5)
    assert delta_of(disjoint.epsilon, math.sqrt(1 / 4 + 1 / 36)) == pytest.approx(1e-5, rel=1e-3)


def test_photos_of_one_person_count_together() -> None:
    alone, three = (Privacy(epsilon=2, group=group) for group in (1, 3))
    assert noise_multiplier(three) == pytest.approx(3 * noise_multiplier(alone))
    assert compose_account([cost(1, noise_multiplier(three), group=3)], 1e-6).epsilon == pytest.approx(2, rel=1e-3)


def test_a_shared_past_costs_once() -> None:
    past, one, other = cost(1, 4), cost(2, 3), cost(3, 2, disjoint=True)
    added = add_accounts([compose_account([past, one], 1e-5), None, compose_account([past, other], 1e-6)])
    assert added is not None
    assert [each.id for each in added.costs] == [past.id, one.id, other.id]
    assert added.delta == 1e-5
    # `other` is disjoint from `past`, but nothing is known of it and `one`.
    assert delta_of(added.epsilon, math.sqrt(1 / 16 + 1 / 9 + 1 / 4)) == pytest.approx(1e-5, rel=1e-3)


def test_one_account_stays_what_it_is() -> None:
    account = compose_account([cost(1, 2, disjoint=True)], 1e-6)
    assert add_accounts([None, account]) is account
    assert add_accounts([None, None]) is None
