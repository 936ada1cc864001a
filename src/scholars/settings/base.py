"""The base class of every group of settings, and the types that several of them share."""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

Steps = Annotated[int, Field(ge=1, le=10_000_000)]
BatchSize = Annotated[int, Field(ge=2, le=65_536)]
Rate = Annotated[float, Field(gt=0, le=1)]
Width = Annotated[int, Field(ge=4, le=2048)]
Kind = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Options = dict[str, JsonValue]
Fit = Literal["crop", "pad", "stretch"]
Decay = Annotated[float, Field(ge=0, lt=1)]
# How the description of a setting ends that `scholars.learning.budget` fills in.
BY_RULE = "default: by the data (docs/defaults.md)"
# The groups of settings that have such ones.
PLANNED_PARTS = ("solver", "generator", "replay")
# How long to train: a name, or so many times as long as normal.
Budget = Literal["small", "normal", "large"] | Annotated[float, Field(ge=0.001, le=1000)]

T = TypeVar("T")


class Section(BaseModel):
    """A group of settings: unknown keys and wrong types are refused, values never change after construction."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, serialize_by_alias=True
    )


def planned(value: T | None) -> T:
    """Return a setting that follows from the data (`scholars.learning.budget`). Raises TypeError before it does."""
    if value is None:
        raise TypeError("this setting follows from the data: plan_settings has not filled it in")
    return value


def check_none_or_enough(key: str, value: int, least: int) -> None:
    """Raise ValueError for a number that is too small, but for 0, which means none."""
    if 0 < value < least:
        raise ValueError(f"{key}={value} is too few: set {least} or more, or 0 for none")


def first_problem(error: ValidationError) -> str:
    """Return ``key.subkey: what is wrong``, the first problem that pydantic found in a document."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message
