"""The description of a scholar, as ``scholar.json`` holds it: its backbone and its lineage."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, model_validator

from scholars.errors import InputError, printable
from scholars.settings import ImageSettings, Settings
from scholars.settings.base import PLANNED_PARTS, Section, first_problem
from scholars.storage.audits import Audit
from scholars.storage.privacy_account import PrivacyAccount
from scholars.storage.trained_photos import CHARACTERS, encode_trained, find_trained

Positive = Annotated[float, Field(gt=0)]
# Keys of ``scholar.json`` that are about its files: `scholars.storage.scholar_folder` reads them.
FILE_KEYS = ("format", "sha256")


class BackboneRecord(Section):
    """A backbone: all that is needed to look at an image as it does, but its weights."""

    name: str = Field(min_length=1, max_length=256, description="its name, as it was asked for")
    architecture: str = Field(pattern=r"^[a-z0-9_]+$", max_length=128, description="timm's name of the network")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its weights: names, types, shapes, values")
    size: int = Field(ge=16, le=1024, description="pixels a side of the images that it looks at")
    features: int = Field(ge=1, le=65_536, description="D, the length of a feature vector")
    mean: tuple[float, float, float] = Field(description="subtracted from RGB pixels in [0, 1]")
    std: tuple[Positive, Positive, Positive] = Field(description="what they are divided by then")
    interpolation: Literal["bilinear", "bicubic"] = Field(description="how images are resized to its size")
    root: bool = Field(description="whether the square roots of its features are taken; they are never negative then")
    licence: str = Field(max_length=256, description="licence of the weights, as far as it is known")

    @model_validator(mode="after")
    def _check_printable(self) -> Self:
        if not printable(self.name + self.licence):
            raise ValueError("name or licence has a control character, which a terminal would obey")
        return self

    @property
    def key(self) -> str:
        """Equal for backbones that see the same in every image, run by the same engine."""
        what = self.model_dump(exclude={"name", "licence"})
        return hashlib.sha256(repr(sorted(what.items())).encode()).hexdigest()


class LineageRecord(Section):
    """One record of a scholar's lineage: a task that was learned, or what was done with scholars without any data."""

    kind: Literal["learn", "merge", "forget", "join", "distil"] = Field(
        "learn", description="what was done; all but learn have no classes, images or accuracy of their own"
    )
    name: str = Field(description="name of the task; of any other kind what was done, in words")
    classes: tuple[str, ...] = Field(description="its class names")
    parents: tuple[int, ...] = Field(
        description="indices in the lineage of the records that it was learned from; empty for a first task"
    )
    train_count: int = Field(description="number of real training images; 0 where it was not kept")
    train_counts: tuple[int, ...] = Field((), description="number of real training images of each of its classes")
    test_count: int = Field(description="number of real test images")
    accuracy: float | None = Field(
        description="on its real test part, just after it was learned, in [0, 1]; None without test images"
    )
    mean_class_accuracy: float | None = Field(
        None,
        description="the mean over its classes of each one's own accuracy, in [0, 1]; None where accuracy is, and in "
        "scholars that learned it before this was kept",
    )
    test_counts: tuple[int, ...] = Field((), description="number of real test images of each of its classes")
    seed: int = Field(description="seed that it was learned with")
    learned_at: str = Field(description="date and time when it was learned: ISO 8601, UTC")
    seconds: dict[str, float] = Field(description="wall time of each stage: bank, generator, solver")
    dreamt: int = Field(0, description="number of dreams drawn to learn it, with those that a filter dropped")
    metrics: dict[str, dict[str, float]] = Field(description="last values logged in each training: solver, generator")
    settings: Settings = Field(description="all settings that it was learned with")
    plan: dict[str, int | float | bool] = Field(
        {}, description="what followed from the data, of what those settings leave open, by dotted path"
    )
    engine: str | None = Field(None, description="what ran the backbone: onnxruntime or torch; None without a backbone")
    audit: Audit | None = Field(None, description="audit of the dreams after this task")
    trained: str = Field(
        "",
        pattern=r"^([A-Za-z0-9+/]{8})*$",
        description="the photos that it was trained on, where they are files: see `scholars.storage.trained_photos`",
    )
    refit: bool = Field(False, description="whether the held-out images were learned, too, once it was scored")
    private: bool = Field(
        False, description="whether it was learned with differential privacy: then all that is said of it is noisy"
    )

    @model_validator(mode="after")
    def _check_plan(self) -> Self:
        for key, value in self.plan.items():
            part, _, name = key.partition(".")
            section = getattr(self.settings, part) if part in PLANNED_PARTS else None
            if section is None or getattr(section, name, 0) is not None:
                raise ValueError(f"plan has {key!r}, which the settings do not leave open")
            try:
                type(section).model_validate({**section.model_dump(), name: value})
            except ValidationError as error:
                raise ValueError(f"plan: {part}.{first_problem(error)}") from None
        return self

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        for key in ("train_counts", "test_counts"):
            counts = getattr(self, key)
            if counts and (len(counts) != len(self.classes) or min(counts) < 0):
                raise ValueError(f"{key} is not one number, 0 or more, for each of its classes")
        if self.train_counts and (
            sum(self.train_counts) != self.train_count or len(self.trained) not in (0, CHARACTERS * self.train_count)
        ):
            raise ValueError("train_count, train_counts and trained are not of equally many images")
        if self.kind != "learn" and self.classes:
            raise ValueError(f"a record of the kind {self.kind} has no classes of its own")
        return self

    @property
    def is_uneven(self) -> bool:
        """True if classes have different numbers of test images: only then the mean over classes is another figure."""
        return len(set(self.test_counts) - {0}) > 1

    def remembering(self, digests: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Self:
        """Return the record of a task that was trained on photos with these SHA-256 digests, ``[N, 32]``.

        labels: ``[N]``, places in ``classes``; the photos of one can be left out later: see `regrouped`
        """
        kept = [encode_trained(digests[labels == label], self._about) for label in range(len(self.classes))]
        return self.model_copy(update={"trained": "".join(kept)})

    def regrouped(self, names: Mapping[str, str | None]) -> Self:
        """Return the record with other names of its classes, some as one class, and without those that have none then.

        With classes that are others, not only called otherwise, it has no figure of its former ones.
        """
        groups: dict[str, list[int]] = {}
        for place, name in enumerate(self.classes):
            if (new := names[name]) is not None:
                groups.setdefault(new, []).append(place)
        changes: dict[str, Any] = {"classes": tuple(groups)}
        if len(groups) < len(self.classes):
            ends = [0, *accumulate(self.train_counts)]
            pieces = [self.trained[CHARACTERS * a : CHARACTERS * b] for a, b in pairwise(ends)]
            for key in ("train_counts", "test_counts"):
                if counts := getattr(self, key):
                    changes[key] = tuple(sum(counts[place] for place in places) for places in groups.values())
            changes["train_count"] = sum(changes.get("train_counts", ()))
            changes["test_count"] = sum(changes.get("test_counts", ()))
            changes["trained"] = "".join(pieces[place] for places in groups.values() for place in places if pieces)
            changes |= {"accuracy": None, "mean_class_accuracy": None}
        return self.model_copy(update=changes)

    def unmeasured(self) -> Self:
        """Return the record without what was measured, or followed from the data, with all classes known then."""
        return self.model_copy(update={"audit": None, "metrics": {}, "plan": {}, "seconds": {}, "dreamt": 0})

    def with_other_names(self, classes: Mapping[str, str | None], tasks: Mapping[str, str]) -> Self:
        """Return the record with other names of tasks, in its audit, too, and of classes there.

        Those of its own classes are for `regrouped`.
        """
        name = tasks.get(self.name, self.name) if self.kind == "learn" else self.name
        renamed, audit = self.model_copy(update={"name": name}), self.audit
        if audit is None:
            return renamed
        audited = [
            each.model_copy(
                update={
                    "name": tasks.get(each.name, each.name),
                    "shares": {classes.get(name) or name: share for name, share in each.shares.items()},
                }
            )
            for each in audit.tasks
        ]
        named = [each.model_copy(update={"name": classes.get(each.name) or each.name}) for each in audit.classes]
        warnings = list(audit.warnings)
        for old, new in classes.items():
            # As `scholars.learning.audit_warnings` names classes.
            warnings = [warning.replace(repr(old), repr(new)) for warning in warnings] if new else warnings
        audit = audit.model_copy(update={"classes": tuple(named), "tasks": tuple(audited), "warnings": tuple(warnings)})
        return renamed.model_copy(update={"audit": audit})

    def was_trained_on(self, digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Return ``[N]``, which photos with these SHA-256 digests, ``[N, 32]``, the task was trained on."""
        return find_trained(self.trained, digests, self._about)

    @property
    def _about(self) -> str:
        return f"{self.seed} {self.learned_at}"


class ScholarDescription(Section):
    """A scholar's description, without the keys about its files."""

    classes: tuple[str, ...] = Field(min_length=1, description="class names, in the order of the solver's outputs")
    image: ImageSettings = Field(description="the shape of all images")
    backbone: BackboneRecord | None = Field(None, description="the backbone; None for a scholar of pixels")
    generation: int = Field(description="1 + the largest generation of the parents of the last record in the lineage")
    privacy: PrivacyAccount | None = Field(None, description="what its private tasks cost; None without any")
    lineage: tuple[LineageRecord, ...] = Field(
        min_length=1,
        description="the tasks, and what was done without any, in that order; the last one is the scholar's",
    )

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes has one name twice")
        if self.lineage[-1].settings.image != self.image:
            raise ValueError("image differs from image in the settings of the lineage's last record")
        if any((record.settings.backbone is None) != (self.backbone is None) for record in self.lineage):
            raise ValueError("backbone is not what the settings of the lineage say")
        if self.backbone and (self.image.size, self.image.channels) != (self.backbone.size, 3):
            raise ValueError("image is not what the backbone looks at")
        for name in (*self.classes, *(record.name for record in self.lineage)):
            if not printable(name):
                raise ValueError(f"the name {name!r} has a control character, which a terminal would obey")
        for place, record in enumerate(self.lineage):
            if any(not 0 <= parent < place for parent in record.parents):
                raise ValueError(f"task {record.name!r} has parents {record.parents}, which do not come before it")
            if strange := set(record.classes) - set(self.classes):
                raise ValueError(f"task {record.name!r} has the class {min(strange)!r}, which is not among classes")
        if self.generation != (depth := generations(self.lineage)[-1]):
            raise ValueError(f"generation is {self.generation}, and by the parents in the lineage it is {depth}")
        return self

    @classmethod
    def parse(cls, description: Mapping[str, Any], where: str) -> Self:
        """Return a checked description. Raises InputError, naming ``where`` and the key, if it is not valid."""
        try:
            return cls.model_validate({key: value for key, value in description.items() if key not in FILE_KEYS})
        except ValidationError as error:
            raise InputError(f"{where} is not valid: {first_problem(error)}") from None


def generations(lineage: Sequence[LineageRecord]) -> list[int]:
    """Return the generation of each record: 1 for a first task, else 1 + the largest of its parents'."""
    found: list[int] = []
    for record in lineage:
        found.append(1 + max((found[parent] for parent in record.parents), default=0))
    return found
