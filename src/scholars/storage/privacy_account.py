"""The account of a scholar's privacy: what its private tasks cost, as ``scholar.json`` holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from scholars.settings.base import Section

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class PrivacyCost(Section):
    """The cost of the statistics of one task. It stays when classes are forgotten: they were drawn from all photos."""

    id: Id = Field(description="a random number, by which a cost that two merged scholars share counts once")
    noise_multiplier: float = Field(
        gt=0,
        le=1e9,
        description="standard deviation of the noise in times of what one photo changes at most, of all statistics "
        "together",
    )
    group: int = Field(ge=1, le=1000, description="the most photos of one person in the task")
    disjoint: bool = Field(description="whether nobody of whom there are photos is in an earlier task, too")
    insecure: bool = Field(False, description="whether the noise was drawn from a seed, so that it can be taken away")


class PrivacyAccount(Section):
    """The guarantee of a scholar: (epsilon, delta)-differential privacy of the photos of one person in all its tasks.

    Composed from the costs by `scholars.privacy.account`.
    """

    costs: tuple[PrivacyCost, ...] = Field(min_length=1, max_length=10_000, description="of each task, oldest first")
    epsilon: float = Field(ge=0, description="epsilon")
    delta: float = Field(gt=0, lt=1, description="delta: the largest that was asked for")

    @property
    def is_insecure(self) -> bool:
        """True if the noise of a task was drawn from a seed: then there is no guarantee."""
        return any(cost.insecure for cost in self.costs)

    @property
    def group(self) -> int:
        """The most photos of one person in a task that all costs were computed for."""
        return min(cost.group for cost in self.costs)


def unite_costs(accounts: Iterable[PrivacyAccount]) -> tuple[PrivacyCost, ...]:
    """Return the costs of several accounts, each once."""
    found: dict[str, PrivacyCost] = {}
    for account in accounts:
        for cost in account.costs:
            found.setdefault(cost.id, cost)
    return tuple(found.values())
