"""What every group of settings is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Steps = Annotated[int, Field(ge=1, le=10_000_000)]
BatchSize = Annotated[int, Field(ge=2, le=65_536)]
Rate = Annotated[float, Field(gt=0, le=1)]
Width = Annotated[int, Field(ge=4, le=2048)]
Kind = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Options = dict[str, JsonValue]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A group of settings: unknown keys and wrong types are refused, values never change after construction."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, serialize_by_alias=True
    )


def none_or(key: str, value: int, least: int) -> None:
    """Refuse a number of things that is neither 0, for none, nor enough. Raises ValueError."""
    if 0 < value < least:
        raise ValueError(f"{key}={value} is too few: set {least} or more, or 0 for none")
