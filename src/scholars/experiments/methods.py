"""The methods that an experiment compares: what each trains on, and how tables and plots show it."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scholars.errors import InputError

if TYPE_CHECKING:
    from scholars.learning.arguments import Past
    from scholars.tasks.task import Task

MethodName = Literal["replay", "naive", "exact", "joint", "lwf", "er"]
METHOD_NAMES: tuple[MethodName, ...] = typing.get_args(MethodName)
DEFAULT_METHODS: tuple[MethodName, ...] = ("replay", "naive", "exact", "joint")


@dataclass(frozen=True)
class Method:
    """One way to learn a stream of tasks.

    description: what it trains on, for a reader who has not read the paper
    colour: from the palette of Okabe and Ito, which colour-blind people can tell apart
    marker: the shape of its points, in Vega's words, for readers who see no colour
    past: (earlier tasks, size of the buffer, seed) -> what `learn` replays for them
    joint: whether all tasks are learned at once, instead of one after the other
    """

    description: str
    colour: str
    marker: str
    past: Callable[[Sequence[Task], int | None, int], Past]
    joint: bool = False


def _sample_buffer(earlier: Sequence[Task], size: int | None, seed: int) -> list[Task]:
    """Return a buffer of ``size`` real images, equally many of each class.

    With more classes each keeps fewer images, which are among those that it kept before. Raises InputError where there
    is less than one image for each class.
    """
    known = sum(len(task.classes) for task in earlier)
    per_class = (size or 0) // max(1, known)
    if earlier and not per_class:
        raise InputError(f"buffer={size} is less than one image for each of {known} classes")
    return [task.sampled(per_class, seed) for task in earlier]


METHODS: Mapping[str, Method] = {
    "replay": Method("new data and dreams, no old data kept", "#0072B2", "circle", lambda *_: "dreams"),
    "naive": Method("new data only", "#D55E00", "triangle-down", lambda *_: []),
    "exact": Method("new data and all old data, kept", "#009E73", "square", lambda earlier, *_: earlier),
    "joint": Method("all data at once", "#6B6B6B", "diamond", lambda earlier, *_: earlier, joint=True),
    "lwf": Method("new data, and the old solver's predictions for it", "#CC79A7", "cross", lambda *_: "current data"),
    "er": Method("new data and a buffer of real images", "#E69F00", "triangle-up", _sample_buffer),
}
# For methods in results of another version.
_UNKNOWN = Method("", "#AA4499", "cross", lambda *_: [])


def find_method(name: str) -> Method:
    """Return a method by name; a neutral one for a name that is not known here."""
    return METHODS.get(name, _UNKNOWN)


def describe_method(name: str) -> str:
    """Return ``replay: new data and ...``; the bare name if there is no more to say."""
    description = find_method(name).description
    return f"{name}: {description}" if description else name
