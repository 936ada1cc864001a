"""The settings of scholars that learn the features of a pretrained backbone: backbone, mixture of Gaussians, heads."""

from typing import Literal

from pydantic import Field

from scholars.settings.base import BatchSize, Rate, Section, Steps

# The backbone that is installed with this package, and needs no download.
EMBEDDED = "efficientnet-lite0"


class BackboneSettings(Section):
    """The pretrained network that looks at photographs: a scholar with one learns its features, not pixels.

    Fixed by a scholar's first task.
    """

    name: str = Field(
        EMBEDDED,
        min_length=1,
        max_length=512,
        description="which backbone: see `scholars backbones`; for a first task also NAME=FILE, timm's network NAME "
        "with the weights in FILE",
    )
    size: int | None = Field(
        None,
        ge=16,
        le=1024,
        description="pixels a side of what it looks at, a multiple of its stride; default: the backbone's own",
    )
    views: int | None = Field(
        None,
        ge=0,
        le=64,
        description="augmented views of each training photo besides the plain one: cropped, mirrored; default: 3, of "
        "budget small none, of large 11",
    )


class MixtureSettings(Section):
    """A mixture of low-rank Gaussians of features for each class of each task, fitted in closed form."""

    kind: Literal["mixture"] = "mixture"
    components: int = Field(
        16,
        ge=1,
        le=64,
        description="the most Gaussians for a class of a task: of 1, 2, 4 ... as many as fit left-out photos best",
    )
    rank: int = Field(
        128,
        ge=0,
        le=4096,
        description="the most directions that are kept of the photos of a class of a task; of fewer photos, fewer",
    )

    @property
    def conditional(self) -> bool:
        """True: it draws the class that is asked for."""
        return True


class HeadSettings(Section):
    """A classifier of features, taught by dreams of all classes from a fresh start."""

    kind: Literal["head"] = "head"
    hidden: int = Field(512, ge=0, le=65_536, description="units of the hidden layer; 0: a linear classifier")
    steps: Steps | None = Field(
        None, description="training steps; default: by the numbers of photos and classes, 600 at most"
    )
    batch: BatchSize = Field(128, description="dreams a step")
    rate: Rate = Field(1e-3, description="peak learning rate of the one-cycle schedule")
    noise: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="noise on what it is taught by: its share of the variance within classes, noise included",
    )
    weight_decay: float = Field(0.02, ge=0, le=1, description="AdamW's decoupled weight decay")
    smoothing: float = Field(
        0.1, ge=0, lt=1, description="share of a label that goes to all classes alike (Szegedy et al. 2016)"
    )


class LDASettings(Section):
    """Linear discriminant analysis of features, in closed form (streaming LDA, Hayes & Kanan 2020)."""

    kind: Literal["lda"] = "lda"
    shrinkage: float = Field(
        0.1, gt=0, le=1, description="share of the covariance that is replaced by a multiple of the identity"
    )


class NCMSettings(Section):
    """The nearest class mean of features, in closed form (Mensink et al. 2013)."""

    kind: Literal["ncm"] = "ncm"


FeatureSolverSettings = HeadSettings | LDASettings | NCMSettings
FEATURE_SOLVERS: dict[str, type[FeatureSolverSettings]] = {
    "head": HeadSettings,
    "lda": LDASettings,
    "ncm": NCMSettings,
}
