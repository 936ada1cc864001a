"""Compose the costs of private tasks to one guarantee, by the library dp-accounting.

Every task is one Gaussian mechanism: noise of z times the most that one photo changes all statistics together. With
the K photos of one person it is one of z / K. Several of them, also where a later one was chosen by what earlier ones
gave, are together as private as one of the noise multiplier

    1 / z^2 = sum_t (K_t / z_t)^2                                       (Dong et al. 2022, corollary 3.3)

and what epsilon that is at a delta follows exactly (Balle & Wang 2018, theorem 8). Nobody in a task that is *disjoint*
is in an earlier one: for them it is its own cost that counts, for all others that of the tasks before it.
"""

import importlib
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from scholars.errors import InputError, import_extra
from scholars.settings.privacy import Privacy
from scholars.storage.privacy_account import PrivacyAccount, PrivacyCost, unite_costs

EXTRA = "private"
# Noise is discrete, and the formula is of continuous noise. Its deviation is some ten thousand steps of the grid, at
# which the two differ by less than 1e-4 of it; so much wider it is drawn than the account says.
_MARGIN = 1.001
# With more noise than that, in times of what one photo changes, a million photos tell nothing; and whole numbers end.
_MOST_NOISE = 10_000.0


def noise_multiplier(privacy: Privacy) -> float:
    """Return the z of one photo that gives this guarantee.

    Raises InputError where that is too much noise to learn anything, and where dp-accounting is not installed.
    """
    found = privacy.group * float(_dp_accounting().get_sigma_gaussian(privacy.epsilon, privacy.delta))
    if found > _MOST_NOISE:
        raise InputError(
            f"epsilon {privacy.epsilon:g}, delta {privacy.delta:g} and a group of {privacy.group} take noise of "
            f"{found:,.0f} times what one photo changes: nothing would be left of any photos"
        )
    return found


def drawn_multiplier(multiplier: float) -> float:
    """Return the z with which noise is drawn that the account counts as ``multiplier``."""
    return _MARGIN * multiplier


def compose_account(costs: Sequence[PrivacyCost], delta: float) -> PrivacyAccount:
    """Return the guarantee of all these tasks together, oldest first, at a delta."""
    total = 0.0
    for cost in costs:
        own = (cost.group / cost.noise_multiplier) ** 2
        total = max(total, own) if cost.disjoint else total + own
    epsilon = float(_dp_accounting().get_epsilon_gaussian(1 / math.sqrt(total), delta))
    return PrivacyAccount(costs=tuple(costs), epsilon=epsilon, delta=delta)


def add_accounts(accounts: Iterable[PrivacyAccount | None]) -> PrivacyAccount | None:
    """Return the guarantee of a scholar that learned from the dreams of several; None where none of them has one.

    That a task is disjoint was said of the tasks before it in its own scholar: of another scholar's nothing is known.
    """
    known = [account for account in accounts if account]
    if len(known) < 2:
        return known[0] if known else None
    costs = [cost.model_copy(update={"disjoint": False}) for cost in unite_costs(known)]
    return compose_account(costs, max(account.delta for account in known))


def _dp_accounting() -> Any:
    library = import_extra("dp_accounting", EXTRA, "differential privacy")
    # absl, which it imports, keeps the standard error stream as it is now, a notebook's or a test's perhaps, and closes
    # it when logging is configured anew, as servers do. The process's own stream it leaves open.
    if sys.__stderr__ is not None:
        importlib.import_module("absl.logging").get_absl_handler().python_handler.setStream(sys.__stderr__)
    return library
