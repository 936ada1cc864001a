"""Every setting, typed, documented and validated.

`Settings` says how a scholar learns; it travels with the scholar. `Recipe` adds what an experiment runs. A recipe file
is exactly these fields in YAML, and ``--set KEY=VALUE`` addresses the same fields by dotted path.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from scholars.errors import InputError, nearest

Method = Literal["replay", "naive", "exact", "joint"]
METHODS: tuple[Method, ...] = typing.get_args(Method)
S = TypeVar("S", bound="Settings")
RECIPES = Path(__file__).parent / "recipes"

Steps = Annotated[int, Field(ge=1, le=10_000_000)]
BatchSize = Annotated[int, Field(ge=2, le=65_536)]
Rate = Annotated[float, Field(gt=0, le=1)]
Width = Annotated[int, Field(ge=4, le=2048)]


class Section(BaseModel):
    """A group of settings: unknown keys and wrong types are refused, values never change after construction."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, serialize_by_alias=True
    )


class ImageSettings(Section):
    """The one shape to which every task's images are brought. Fixed by a scholar's first task."""

    size: int = Field(32, ge=8, le=256, multiple_of=4, description="height and width in pixels")
    channels: Literal[1, 3] = Field(3, description="1 grey, 3 RGB")


class SolverSettings(Section):
    """The classifier and its training, per task."""

    width: Width = Field(32, description="channels of the first of three stages; each next stage has twice as many")
    steps: Steps = Field(1200, description="training steps per task")
    batch: BatchSize = Field(128, description="images a step, new and replayed together")
    rate: Rate = Field(3e-3, description="peak learning rate of the one-cycle schedule")
    weight_decay: float = Field(0.02, ge=0, le=1, description="AdamW's decoupled weight decay")
    shift: int = Field(2, ge=0, le=16, description="training images are shifted by up to this many pixels each way")
    start: Literal["warm", "fresh"] = Field("warm", description="start from the previous solver's weights, or anew")


class FlowSettings(Section):
    """Flow matching (Lipman et al. 2023) with a small class-conditional U-Net."""

    steps: Steps = Field(1800, description="training steps per task")
    batch: BatchSize = Field(64, description="images a step")
    rate: Rate = Field(5e-3, description="peak learning rate")
    width: Width = Field(32, description="channels at the finest level; the next levels have 2 and 4 times as many")
    patch: Literal[1, 2, 4] = Field(2, description="pixels a side that are folded into channels before the U-Net")
    ema: float = Field(0.995, ge=0, lt=1, description="decay of the moving average of the weights used to sample")
    solver: Literal["euler", "heun"] = Field("euler", description="integrator of the sampling equation")
    sampling_steps: int = Field(8, ge=1, le=1000, description="integrator steps an image")


class WGANGPSettings(Section):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017), DCGAN networks."""

    steps: Steps = Field(300, description="generator steps per task")
    batch: BatchSize = Field(64, description="images a step, of each of critic and generator")
    critic_steps: int = Field(5, ge=1, le=100, description="critic steps per generator step (the paper's 5)")
    penalty: float = Field(10.0, ge=0, le=1e4, description="gradient penalty coefficient (the paper's lambda = 10)")
    rate: Rate = Field(2e-4, description="Adam's learning rate, for both networks; decays linearly to zero")
    width: Width = Field(48, description="channels of the networks' largest feature maps; each halving doubles them")
    latent: int = Field(128, ge=1, le=4096, description="dimensions of the noise")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the moving average of the weights used to sample")


class GeneratorSettings(Section):
    """Which generator a scholar dreams with, and the settings of each kind."""

    kind: Literal["flow", "wgan-gp"] = Field("flow", description="see `scholars generators`")
    start: Literal["warm", "fresh"] = Field("warm", description="start from the previous generator's weights, or anew")
    size: int | None = Field(
        None, ge=8, le=256, multiple_of=4, description="pixels a side that the generator works at; default: image.size"
    )
    flow: FlowSettings = FlowSettings()
    wgan_gp: WGANGPSettings = Field(WGANGPSettings(), alias="wgan-gp")

    def kinds(self) -> dict[str, FlowSettings | WGANGPSettings]:
        """The settings of every kind, by its name."""
        return {"flow": self.flow, "wgan-gp": self.wgan_gp}

    @property
    def chosen(self) -> FlowSettings | WGANGPSettings:
        """The settings of the chosen kind."""
        return self.kinds()[self.kind]


class ReplaySettings(Section):
    """How the past enters the batches of the present."""

    ratio: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = Field(
        0.5,
        description="share of new, real data in a batch (Shin et al. 2017, r); auto: in proportion to the classes that "
        "the new task and the earlier tasks brought",
    )
    labels: Literal["soft", "hard"] = Field(
        "soft", description="label of a dream: the solver's probabilities or argmax"
    )
    bank: int = Field(12_000, ge=1, le=10_000_000, description="dreams drawn from the previous scholar per task")


class ComputeSettings(Section):
    """Where and how numbers are computed."""

    device: str = Field("auto", description="lightning-fabric accelerator: auto, cpu, cuda, mps, ...")
    precision: Literal["auto", "bf16-mixed", "32-true"] = Field(
        "auto", description="auto: bf16 autocast where the device multiplies bf16 natively, else fp32"
    )


class Settings(Section):
    """How a scholar learns a task. Travels with the scholar."""

    image: ImageSettings = ImageSettings()
    solver: SolverSettings = SolverSettings()
    generator: GeneratorSettings = GeneratorSettings()
    replay: ReplaySettings = ReplaySettings()
    compute: ComputeSettings = ComputeSettings()


class TaskSpec(Section):
    """One task of a recipe. A plain string in a recipe is its ``source``."""

    source: str = Field(description="a name, an image folder or an .npz file, as for `scholars learn`")
    name: str | None = Field(None, description="how the task is called; default: the source's own name")
    classes: tuple[str, ...] | None = Field(None, description="only these classes; default: all")
    limit: int | None = Field(None, ge=1, description="at most this many training images; default: all")


class Recipe(Settings):
    """An experiment: a stream of tasks, the methods to compare on it, the seeds."""

    name: str = Field(description="the recipe's name")
    description: str = Field("", description="one sentence about it")
    tasks: tuple[TaskSpec, ...] = Field(min_length=1, description="the stream, in the order of learning")
    methods: tuple[Method, ...] = Field(METHODS, min_length=1, description="what to run side by side")
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field((0,), min_length=1)
    export_dreams: bool = Field(False, description="also write every bank of dreams as one image folder per class")

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
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
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
        return kind.model_validate(merged)
    except ValidationError as error:
        raise InputError(f"{where}: " + "\n".join(_explain(kind, problem) for problem in error.errors())) from None


def parse_changes(assignments: Iterable[str]) -> dict[str, Any]:
    """``["replay.ratio=0.3", ...]`` -> ``{"replay.ratio": 0.3, ...}``; values are read as YAML. Raises InputError."""
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set takes KEY=VALUE, got {assignment!r}")
        try:
            changes[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"--set {key}: {text!r} is not a readable value") from None
    return changes


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _fields(kind: Any) -> dict[str, Any]:
    """Key as written in a recipe -> type of the field, of a section; empty for anything else."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    return {}


def _put(kind: type[Section], document: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    section: Any = kind
    for place, key in enumerate([*path, last]):
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
    return f"{dotted}: {message[0].lower()}{message[1:]}, got {problem.get('input')!r}"
