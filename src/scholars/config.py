"""What an experiment runs, and how settings are read and changed.

`Recipe` adds to `scholars.settings` a stream, methods and seeds. A recipe file is exactly these fields in YAML, and
``--set KEY=VALUE`` addresses the same fields by dotted path.
"""

from __future__ import annotations

import reprlib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from scholars.errors import InputError, nearest
from scholars.registry import builder
from scholars.section import Section
from scholars.settings import SOLVERS, Settings

Method = Literal["replay", "naive", "exact", "joint", "lwf", "er"]
METHODS: tuple[Method, ...] = typing.get_args(Method)
BRACKETED: tuple[Method, ...] = ("replay", "naive", "exact", "joint")
S = TypeVar("S", bound="Settings")
RECIPES = Path(__file__).parent / "recipes"
# Bytes of a recipe.
MOST_BYTES = 2**20


class TaskSpec(Section):
    """One task of a recipe. A plain string in a recipe is its ``source``."""

    source: str = Field(description="a name, an image folder or an .npz file, as for `scholars learn`")
    name: str | None = Field(None, description="how the task is called; default: the source's own name")
    classes: tuple[str, ...] | None = Field(None, description="only these classes; default: all")
    limit: int | None = Field(None, ge=1, description="at most this many training images; default: all")
    invert: bool = Field(False, description="swap dark and bright: the same classes in another domain")
    rotate: float = Field(0, ge=-360, le=360, description="turn images counter-clockwise by so many degrees")
    permute: int | None = Field(None, ge=0, description="reorder all pixels, as given by this number; default: do not")


class SplitSpec(Section):
    """One data set, cut by its classes into tasks."""

    source: str = Field(description="what is cut, as for a task")
    tasks: int = Field(ge=1, le=10_000, description="into how many")
    order: Literal["source", "seed"] | tuple[str, ...] = Field(
        "source", description="of the classes: the source's own, shuffled by the run's seed, or a list of names"
    )

    @field_validator("order", mode="after")
    @classmethod
    def _once(cls, value: object) -> object:
        if isinstance(value, tuple) and len(set(value)) != len(value):
            raise ValueError("names a class twice")
        return value


class Recipe(Settings):
    """An experiment: a stream of tasks, the methods to compare on it, the seeds."""

    name: str = Field(description="the recipe's name, and that of its folder in `runs`")
    description: str = Field("", description="one sentence about it")
    tasks: tuple[TaskSpec, ...] = Field((), description="the stream, in the order of learning")
    split: SplitSpec | None = Field(None, description="the stream as parts of one data set, instead of `tasks`")
    scenario: Literal["class", "domain", "task"] = Field(
        "class",
        description="of van de Ven et al. 2022. class: names decide; domain: the parts of a split share their classes, "
        "by place; task: as class, but a test image is only taken for a class of its own task",
    )
    methods: tuple[Method, ...] = Field(BRACKETED, min_length=1, description="what to run side by side")
    buffer: int | None = Field(None, ge=1, description="real images that method `er` keeps, of all tasks together")
    validation: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of each class's training images that is held out and takes the place of the test part, to "
        "choose settings by; default: none is, and the real test part is used",
    )
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field((0,), min_length=1)
    export_dreams: bool = Field(
        False, description="also write every bank of dreams, of the first seed, as one image folder per class"
    )

    @field_validator("name", mode="after")
    @classmethod
    def _one_folder(cls, value: str) -> str:
        if value in ("", ".", "..") or not value.isprintable() or set(value) & set("/\\"):
            raise ValueError("is to be the name of a folder")
        return value

    @field_validator("tasks", mode="before")
    @classmethod
    def _sources(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return [{"source": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("methods", "seeds", mode="after")
    @classmethod
    def _once(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names something twice")
        return value

    @model_validator(mode="after")
    def _streams(self) -> Self:
        if bool(self.tasks) == bool(self.split):
            raise ValueError("a recipe has a stream: give either tasks or split")
        if self.scenario == "domain" and not self.split:
            raise ValueError(
                "scenario=domain is about the parts of a split; the classes of listed tasks are their names"
            )
        if "er" in self.methods and self.buffer is None:
            raise ValueError("method er keeps a buffer of real images: set buffer to how many")
        return self

    @model_validator(mode="after")
    def _banked(self) -> Self:
        if self.export_dreams and self.replay.dreams == "fresh":
            raise ValueError("export_dreams writes the bank, and replay.dreams=fresh keeps none: change one of the two")
        return self

    def settings(self) -> Settings:
        """The part of the recipe that says how to learn."""
        return Settings.model_validate({name: getattr(self, name) for name in Settings.model_fields})


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of the recipes in the package."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}


def read_recipe(recipe: str | Path, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Read a shipped recipe by name, or a YAML file by path, with dotted ``changes`` applied. Raises InputError."""
    path = shipped_recipes().get(str(recipe), Path(recipe))
    if not path.is_file():
        raise InputError(f"no recipe {str(recipe)!r}, and no such file. {nearest(str(recipe), shipped_recipes())}")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES >> 20} MiB: a recipe is a page of text")
    try:
        document = _read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable YAML: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: a recipe is a mapping of settings, this is a {type(document).__name__}")
    document.setdefault("name", path.stem)
    return build(Recipe, document, changes, where=str(path.name))


def build(kind: type[S], document: Mapping[str, Any], changes: Mapping[str, Any] | None, where: str) -> S:
    """Validate ``document`` with dotted ``changes`` laid over it as a ``kind``. Raises InputError, naming each key."""
    merged = _copy(document)
    for key, value in (changes or {}).items():
        _put(kind, merged, key, value)
    try:
        settings = kind.model_validate(merged)
    except ValidationError as error:
        raise InputError(f"{where}: " + "\n".join(_explain(kind, problem) for problem in error.errors())) from None
    _known(settings)
    return settings


def changed(settings: S, changes: Mapping[str, Any]) -> S:
    """The same settings or recipe with other values for some keys, dotted as for ``--set``: ``{"solver.steps": 600}``.

    Raises InputError for what is no key or no value of one, naming what is near.
    """
    return build(type(settings), settings.model_dump(), changes, where="settings")


def _known(settings: Settings) -> None:
    """Refuse a kind that nobody registered before anything is trained."""
    shipped = settings.generator.kinds()
    if settings.solver.kind not in SOLVERS:
        builder("solver", settings.solver.kind, SOLVERS)
    if settings.generator.kind not in shipped:
        builder("generator", settings.generator.kind, shipped)


def parse_changes(assignments: Iterable[str]) -> dict[str, Any]:
    """``["replay.ratio=0.3", ...]`` -> ``{"replay.ratio": 0.3, ...}``; values are read as YAML. Raises InputError."""
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set takes KEY=VALUE, got {assignment!r}")
        try:
            changes[key.strip()] = _read_yaml(text)
        except (ValueError, RecursionError):
            raise InputError(f"--set {key}: {text!r} is not a readable value") from None
    return changes


class _Plain(yaml.SafeLoader):
    """YAML without aliases, by which a line can stand for more than any memory holds, or for itself.

    And without a key that is given twice, of which the first would be lost.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name) is not read: write out what it stands for")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key in seen:
                raise yaml.YAMLError(f"the key {key!r} is given twice: give it once")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read_yaml(text: str) -> Any:
    """What plain YAML says. Raises ValueError; RecursionError where it is nested too deeply."""
    try:
        return _Plain(text).get_single_data()
    except (yaml.YAMLError, TypeError, OverflowError, AttributeError, KeyError, IndexError) as error:
        # PyYAML's constructors raise whatever dates, numbers and keys that are none lead to.
        raise ValueError(str(error)) from None


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _fields(kind: Any) -> dict[str, Any]:
    """Key as written in a recipe -> type of the field, of a section or of one that may be left out; else empty."""
    for part in typing.get_args(kind):
        if found := _fields(part):
            return found
    if isinstance(kind, type) and issubclass(kind, Section):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    return {}


def _put(kind: type[Section], document: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    section: Any = kind
    for place, key in enumerate([*path, last]):
        if typing.get_origin(section) is dict:
            break
        known = _fields(section)
        if key not in known:
            inside = f"in {'.'.join(path[:place])!r} " if place else ""
            raise InputError(f"no setting {dotted!r}: {inside}there is no {key!r}. {nearest(key, known)}")
        section = known[key]
    for key in path:
        inner = document.setdefault(key, {})
        if not isinstance(inner, dict):
            raise InputError(f"cannot set {dotted!r}: {key!r} is {inner!r}, not a group of settings")
        document = inner
    document[last] = value


def _explain(kind: type[Section], problem: Any) -> str:
    place = [str(part) for part in problem["loc"] if not str(part).startswith(("constrained-", "literal["))]
    dotted = ".".join(place)
    if problem["type"] == "extra_forbidden":
        section: Any = kind
        for key in place[:-1]:
            if key.isdigit():
                continue
            section = _fields(section).get(key)
            if not isinstance(section, type | types.NoneType) and typing.get_args(section):
                section = typing.get_args(section)[0]
        return f"unknown key {dotted!r}. {nearest(place[-1], _fields(section))}"
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem.get("input"), Mapping):
        # A contradiction within a group of settings: the message names its keys, and the group is too long to print.
        return message if problem["type"] == "value_error" else f"{dotted}: {message}"
    return f"{dotted}: {message[0].lower()}{message[1:]}, got {reprlib.repr(problem.get('input'))}"
