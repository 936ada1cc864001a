"""Recipes: what an experiment runs, read from YAML.

`Recipe` adds a stream, methods and seeds to `Settings`. A recipe file has exactly these fields, in YAML, and
``--set KEY=VALUE`` changes the same fields by dotted path.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from scholars.errors import InputError, did_you_mean
from scholars.experiments.methods import DEFAULT_METHODS, MethodName
from scholars.settings import Settings
from scholars.settings.base import Section
from scholars.settings.overrides import build, read_yaml

RECIPES = Path(__file__).parent / "recipes"
MAX_BYTES = 2**20


class TaskSpec(Section):
    """One task of a recipe. A plain string in a recipe is its ``source``."""

    source: str = Field(
        description="a name, an image folder, an archive of one, or an .npz file, as for `scholars learn`"
    )
    name: str | None = Field(None, description="the task's name; default: the source's own name")
    classes: tuple[str, ...] | None = Field(None, description="only these classes; default: all")
    follow_links: Path | None = Field(
        None, description="a folder into which links in the image folder may lead; default: none may leave it"
    )
    limit: int | None = Field(None, ge=1, description="at most this many training images; default: all")
    invert: bool = Field(False, description="swap dark and bright: the same classes in another domain")
    grey: bool = Field(False, description="remove the colours")
    edges: bool = Field(False, description="show the edges alone, as dark lines on white")
    blur: float = Field(
        0, ge=0, le=1, description="blur by a Gaussian whose standard deviation is this share of the shorter side"
    )
    rotate: float = Field(0, ge=-360, le=360, description="turn images counter-clockwise by so many degrees")
    permute: int | None = Field(
        None, ge=0, description="shuffle the pixels of every image, by this seed; default: do not"
    )


class SplitSpec(Section):
    """One data set, split by its classes into tasks."""

    source: str = Field(description="the data set, as for a task")
    follow_links: Path | None = Field(None, description="as for a task")
    tasks: int = Field(ge=1, le=10_000, description="number of tasks")
    order: Literal["source", "seed"] | tuple[str, ...] = Field(
        "source", description="order of the classes: the source's own, shuffled by the run's seed, or a list of names"
    )

    @field_validator("order", mode="after")
    @classmethod
    def _check_classes(cls, value: object) -> object:
        if isinstance(value, tuple) and len(set(value)) != len(value):
            raise ValueError("names a class twice")
        return value


class Recipe(Settings):
    """An experiment: a stream of tasks, the methods to compare on it, the seeds."""

    name: str = Field(description="the recipe's name, and its folder's in `runs`")
    description: str = Field("", description="one sentence about it")
    tasks: tuple[TaskSpec, ...] = Field((), description="the stream, in the order of learning")
    split: SplitSpec | None = Field(None, description="the stream as parts of one data set, instead of `tasks`")
    scenario: Literal["class", "domain", "task"] = Field(
        "class",
        description="as in van de Ven et al. 2022. class: equal names are equal classes; domain: the parts of a split "
        "share their classes: first with first, second with second; task: as class, but a test image can only be "
        "predicted as a class of its own task",
    )
    methods: tuple[MethodName, ...] = Field(DEFAULT_METHODS, min_length=1, description="the methods to compare")
    buffer: int | None = Field(None, ge=1, description="real images that method `er` keeps, of all tasks together")
    validation: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of each class's training images that is held out and replaces the test part, to choose "
        "settings by; default: none, and the real test part is used",
    )
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field((0,), min_length=1)
    export_dreams: bool = Field(
        False, description="also write the dreams that the first seed replays, as one image folder per class"
    )

    @field_validator("name", mode="after")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if value in ("", ".", "..") or not value.isprintable() or set(value) & set("/\\"):
            raise ValueError("must be usable as the name of a folder")
        return value

    @field_validator("tasks", mode="before")
    @classmethod
    def _expand_sources(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return [{"source": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("methods", "seeds", mode="after")
    @classmethod
    def _check_unique(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names something twice")
        return value

    @model_validator(mode="after")
    def _check_stream(self) -> Self:
        if bool(self.tasks) == bool(self.split):
            raise ValueError("a recipe needs one stream: give either tasks or split")
        if self.scenario == "domain" and not self.split:
            raise ValueError(
                "scenario=domain is about the parts of a split; classes of listed tasks are equal where their names are"
            )
        if "er" in self.methods and self.buffer is None:
            raise ValueError("method er keeps a buffer of real images: set buffer to their number")
        return self

    @model_validator(mode="after")
    def _check_export(self) -> Self:
        if self.export_dreams and self.replay.dreams == "fresh":
            raise ValueError(
                "export_dreams writes the bank of dreams, and replay.dreams=fresh has none: change one of them"
            )
        if self.backbone and any(spec.permute is not None for spec in self.tasks):
            raise ValueError("permute shuffles pixels, and a backbone looks at photographs: leave out one of them")
        if self.export_dreams and self.backbone:
            raise ValueError("export_dreams writes images, and with a backbone dreams are features: leave it out")
        return self

    def settings(self) -> Settings:
        """Return the part of the recipe that says how to learn."""
        return Settings.model_validate({name: getattr(self, name) for name in Settings.model_fields})


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes of the package: name -> file."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}


def read_recipe(recipe: str | Path, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Return a shipped recipe, by name, or a YAML file's, by path, with dotted ``changes``. Raises InputError."""
    path = shipped_recipes().get(str(recipe), Path(recipe))
    if not path.is_file():
        raise InputError(f"no recipe {str(recipe)!r}, and no such file. {did_you_mean(str(recipe), shipped_recipes())}")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES >> 20} MiB, the most that a recipe may have")
    try:
        document = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable YAML: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: a recipe is a mapping of settings, not a {type(document).__name__}")
    document.setdefault("name", path.stem)
    return build(Recipe, document, changes, where=str(path.name))
