"""The settings of solvers, of images and of features; ``solver.kind`` tells them apart."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from scholars.settings.base import BY_RULE, BatchSize, Kind, Options, Rate, Section, Steps, Width
from scholars.settings.features import FEATURE_SOLVERS, FeatureSolverSettings, HeadSettings, LDASettings, NCMSettings


class SolverSettings(Section):
    """The classifier of images and its training, per task."""

    kind: Kind = Field(
        "cnn",
        description="cnn; mlp, for images whose neighbouring pixels are unrelated (permuted MNIST); or one of your own "
        "(docs/own-networks.md). With a backbone: head, lda or ncm, which have settings of their own",
    )
    options: Options = Field({}, description="settings of a solver of your own, any keys")
    width: Width | None = Field(
        None,
        description="cnn: channels of the first of three stages, twice as many in each next, default 16 for grey "
        "images and 24 for coloured ones; mlp: units of a layer, default 512",
    )
    steps: Steps | None = Field(None, description=f"training steps per task; {BY_RULE}")
    batch: BatchSize = Field(64, description="images a step, new and replayed together")
    rate: Rate = Field(3e-3, description="peak learning rate of the one-cycle schedule")
    warm_rate: Rate | None = Field(
        None,
        description="peak learning rate where training starts from the previous solver's weights; a lower one forgets "
        f"less, and learns what is new more slowly; {BY_RULE}",
    )
    weight_decay: float = Field(0.02, ge=0, le=1, description="AdamW's decoupled weight decay")
    shift: int | None = Field(
        None,
        ge=0,
        le=16,
        description="training images are shifted by up to this many pixels each way; default: 2, for an mlp 0",
    )
    warp: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="training images are rotated, stretched and sheared by up to this share of their size; default: "
        "0.15, for an mlp 0",
    )
    flip: bool = Field(False, description="training images are mirrored half of the time; wrong for digits and letters")
    invert: bool | None = Field(
        None,
        description="training images are made negatives half of the time (Cubuk et al. 2019): for what is as often "
        f"light on dark as dark on light; {BY_RULE}",
    )
    smoothing: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of a given label that goes to all known classes alike (Szegedy et al. 2016); dreams are "
        "labelled by a solver, smoothly, and stay so",
    )
    noise: float | None = Field(
        None,
        ge=0,
        le=255,
        description="largest standard deviation of the noise on training images, on the 0..255 scale; hides from the "
        f"solver what distinguishes dreams from real images; {BY_RULE}",
    )
    start: Literal["warm", "fresh"] = Field(
        "warm", description="start from the previous solver's weights, or from new ones"
    )

    @model_validator(mode="after")
    def _warm(self) -> Self:
        if self.start == "fresh" and self.warm_rate is not None:
            raise ValueError("solver.warm_rate is that of a warm start: set solver.start=warm, or leave it out")
        return self


_IMAGES = "images"


def solver_settings(kind: str) -> type[SolverSettings] | type[FeatureSolverSettings]:
    """Return the settings class of a kind; `SolverSettings` for one that is not of features."""
    return FEATURE_SOLVERS.get(kind, SolverSettings)


def _solver_tag(value: Any) -> str:
    """Tell pydantic which class of the union a value is of."""
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) and kind in FEATURE_SOLVERS else _IMAGES


AnySolverSettings = Annotated[
    Annotated[SolverSettings, Tag(_IMAGES)]
    | Annotated[HeadSettings, Tag("head")]
    | Annotated[LDASettings, Tag("lda")]
    | Annotated[NCMSettings, Tag("ncm")],
    Discriminator(_solver_tag),
]
