"""Choose the budget that takes a given time: measure the machine's pace, once, and keep what followed from it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from scholars.learning.estimate import Estimate
from scholars.settings import Settings
from scholars.storage.work import WorkFolder

S = TypeVar("S", bound=Settings)
# The budgets that a time may choose, in times of the normal one: with less nothing is learned, and more than the last
# was never of use.
LEAST, MOST = 0.02, 12.0


def fit_budget(settings: S, unfinished: Callable[[S], WorkFolder] | None, measure: Callable[[], Estimate]) -> S:
    """Return the settings with the budget, a number, that takes ``settings.minutes``; as they are where that is None.

    A budget that is a number already is kept: it was chosen before, or by hand.

    unfinished: returns the place of this work, with settings that have a budget. If it was begun there, it goes on with
        the budget that was chosen then, whatever the machine's pace is now
    measure: how long it takes, measured now
    """
    if settings.minutes is None or not isinstance(settings.budget, str):
        return settings
    if unfinished:
        before = with_noted_budget(settings, unfinished(settings).noted() or {})
        if unfinished(before).state() == "same":
            return before
    scale = measure().scale(60 * settings.minutes)
    return settings.model_copy(update={"budget": float(f"{min(max(scale, LEAST), MOST):.3g}")})


def with_noted_budget(settings: S, note: Mapping[str, Any]) -> S:
    """Return the settings with the budget, a number, that the note of some work holds; as they are where it has none.

    note: settings, or with the key "settings"
    """
    noted = note.get("settings", note)
    budget = noted.get("budget") if isinstance(noted, Mapping) else None
    return settings.model_copy(update={"budget": budget}) if isinstance(budget, float) else settings


def forget_budget(settings: S) -> S:
    """Return the settings for the next task, whose budget is chosen anew where ``minutes`` is set."""
    return settings if settings.minutes is None else settings.model_copy(update={"budget": "normal"})
