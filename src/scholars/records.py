"""What is written down about a scholar: the tasks of its lineage and the audits of its dreams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from scholars.errors import InputError, printable
from scholars.section import Section
from scholars.settings import ImageSettings, Settings

# What a description says of the files, and `scholars.store` reads.
OF_THE_FILES = ("format", "sha256")


class ClassAudit(Section):
    """One class as it is dreamt of."""

    name: str = Field(description="the class")
    share: float = Field(description="of all dreams, in the solver's eyes, in [0, 1]")
    confidence: float | None = Field(description="the solver's mean probability for these dreams; None without any")
    agreement: float | None = Field(description="of dreams asked for, the share seen as such; None if none was")
    accuracy: float | None = Field(
        None,
        description="of the real test images at hand, the share that a fresh small solver that saw dreams only names "
        "rightly; None without any",
    )

    def is_dying(self, known: int) -> bool:
        """Whether it has less than a tenth of an even share of the dreams, among ``known`` classes."""
        return self.share < 0.1 / known


class TaskAudit(Section):
    """One task as it is dreamt of, beside its real images."""

    name: str = Field(description="the task")
    accuracy: float = Field(
        description="classification accuracy score: a fresh small solver that saw dreams only, on the real test part"
    )
    recall: float = Field(description="of real test images, the share on the dreams' manifold; features of the solver")
    shares: dict[str, float] = Field(description="the label histogram of the real training part, by class")
    copies: float = Field(
        description="share of dreams nearer to a training image than all but 0.1 % of the real test images are"
    )
    nearest_dream: float = Field(
        description="0.1 % quantile over dreams of the distance to the nearest training image: root mean square "
        "difference of pixels, 0..1"
    )
    nearest_real: float = Field(description="the same for real test images")


class Audit(Section):
    """How good the dreams of one scholar are: what its next generation can remember at best."""

    dreams: int = Field(description="how many were looked at")
    classes: tuple[ClassAudit, ...]
    tasks: tuple[TaskAudit, ...] = Field(description="the tasks whose real images were at hand")
    frechet_distance: float | None = Field(
        description="between dreams and real test images, features of the scholar's solver; None unless all tasks of "
        "the lineage were at hand, with two test images or more"
    )
    precision: float | None = Field(description="share of dreams on the real test images' manifold; None likewise")
    warnings: tuple[str, ...] = Field(description="what is wrong, and its cure")


class TaskRecord(Section):
    """One task of a scholar's lineage."""

    name: str = Field(description="what the task was called")
    classes: tuple[str, ...] = Field(description="its class names")
    train_count: int = Field(description="real training images")
    test_count: int = Field(description="real test images")
    accuracy: float = Field(description="on its real test part, just after it was learned, in [0, 1]")
    seed: int = Field(description="the seed it was learned with")
    learned_at: str = Field(description="date and time, ISO 8601, UTC")
    seconds: dict[str, float] = Field(description="wall time of each stage: bank, generator, preview, solver")
    dreamt: int = Field(0, description="dreams drawn to learn it, those that a filter dropped included")
    metrics: dict[str, dict[str, float]] = Field(description="what each training last reported: solver, generator")
    settings: Settings = Field(description="the full configuration it was learned with")
    audit: Audit | None = Field(None, description="of the dreams, after this task")


class Contents(Section):
    """What a scholar's description says of what it knows."""

    classes: tuple[str, ...] = Field(min_length=1)
    image: ImageSettings
    generation: int
    lineage: tuple[TaskRecord, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes names one twice")
        if self.generation != len(self.lineage):
            raise ValueError(f"generation is {self.generation}, and the lineage has {len(self.lineage)} tasks")
        if any(record.settings.image != self.image for record in self.lineage):
            raise ValueError("image is not that of the lineage's settings")
        for name in (*self.classes, *(record.name for record in self.lineage)):
            if not printable(name):
                raise ValueError(f"the name {name!r} has a control character, which a terminal would obey")
        for record in self.lineage:
            if strange := set(record.classes) - set(self.classes):
                raise ValueError(f"task {record.name!r} has the class {min(strange)!r}, which is not among classes")
        return self

    @classmethod
    def of(cls, description: Mapping[str, Any], where: str) -> Self:
        """What ``description`` holds of it. Raises InputError, naming ``where`` and the key, for what is not valid."""
        try:
            return cls.model_validate({key: value for key, value in description.items() if key not in OF_THE_FILES})
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            at = f" at {key!r}" if key else ""
            raise InputError(f"{where} is not valid{at}: {first['msg']}") from None
