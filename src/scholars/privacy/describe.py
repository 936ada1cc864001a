"""Say in plain words what a scholar's privacy account promises, and what it does not."""

import math
from collections.abc import Sequence
from typing import Any

from scholars.storage.privacy_account import PrivacyAccount
from scholars.storage.records import LineageRecord


def privacy_facts(account: PrivacyAccount | None, lineage: Sequence[LineageRecord]) -> dict[str, Any] | None:
    """Return what ``scholars inspect --json`` says of a scholar's privacy; None where it has no guarantee."""
    if account is None or account.is_insecure:
        return None
    return {
        "epsilon": account.epsilon,
        "delta": account.delta,
        "photos_of_a_person": account.group,
        "tasks": len(account.costs),
        "disjoint": any(cost.disjoint for cost in account.costs),
        "noise_multipliers": [cost.noise_multiplier for cost in account.costs],
        "unprotected": unprotected_tasks(lineage),
    }


def unprotected_tasks(lineage: Sequence[LineageRecord]) -> list[str]:
    """Return the tasks that were learned without a guarantee."""
    return [record.name for record in lineage if record.kind == "learn" and not record.private]


def describe_privacy(account: PrivacyAccount | None, lineage: Sequence[LineageRecord]) -> str | None:
    """Return a few sentences for people; None for a scholar without private tasks."""
    if account is None:
        return None
    if account.is_insecure:
        return "not private: the noise was drawn from a seed, for tests, and whoever knows it can take it away"
    unit, other = "any one photo was", "one photo"
    if account.group > 1:
        unit, other = f"the photos of any one person, up to {account.group} in a task, were", f"{account.group} photos"
    words = (
        f"epsilon {account.epsilon:.3g}, delta {account.delta:g}. Whether {unit} learned changes the odds of anything "
        f"that this scholar may show by a factor of {_factor(account.epsilon)} at most, but for a chance of "
        f"{account.delta:g}. Not protected: what many photos have in common, the names of classes and tasks, and "
        f"people of whom there are more than {other}"
    )
    if any(cost.disjoint for cost in account.costs):
        words += ". It holds if, as was said, nobody in a disjoint task is in an earlier one"
    if open_ones := unprotected_tasks(lineage):
        words += f". NOT protected: the photos of {', '.join(open_ones)}, which were learned without a guarantee"
    return words


def _factor(epsilon: float) -> str:
    return f"{math.exp(epsilon):,.3g}" if epsilon < math.log(1000) else f"{math.exp(epsilon):,.0f}"
