"""The settings of learning: image shape, solver, replay, audit, device. `Settings` is stored in the scholar."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from scholars.settings.base import BY_RULE, Budget, Fit, Section, check_none_or_enough
from scholars.settings.features import FEATURE_SOLVERS, BackboneSettings, FeatureSolverSettings, MixtureSettings
from scholars.settings.generator import GENERATORS, AnyGeneratorSettings, GeneratorSettings, OwnSettings, R3GANSettings
from scholars.settings.solver import AnySolverSettings, SolverSettings

# The budgets that have a name, in times of the normal one.
BUDGETS: Mapping[str, float] = {"small": 1 / 4, "normal": 1.0, "large": 3.0}
# The views of a photo that a backbone looks at with the normal budget, the plain one included.
NORMAL_LOOKS = 4
# What is drawn equally often: each image and dream, or each class.
Balance = Literal["none", "classes"]


class ImageSettings(Section):
    """The one shape to which every task's images are brought. Fixed by a scholar's first task."""

    size: int = Field(32, ge=8, le=1024, description="height and width in pixels, for pixels a multiple of 4 up to 256")
    channels: Literal[1, 3] = Field(3, description="1 grey, 3 RGB")
    fit: Fit = Field(
        "crop",
        description="how an image becomes a square. crop: the square around its centre; pad: all of it, in the middle "
        "of a black square; stretch: all of it, both sides scaled",
    )


class ReplaySettings(Section):
    """The replay: what is replayed for the earlier tasks, and in which share."""

    ratio: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = Field(
        "auto",
        description="share of new, real data in a batch (Shin et al. 2017, r); auto: in proportion to the classes that "
        "the new task and the earlier tasks brought",
    )
    generator_ratio: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = Field(
        "auto",
        description="the same for the generator; auto: as ratio, and at least half where there are new classes",
    )
    labels: Literal["soft", "hard"] = Field(
        "soft", description="label of a dream: the solver's probabilities or argmax"
    )
    temperature: float = Field(
        1.0,
        gt=0,
        le=100,
        description="T of the loss of soft labels, T^2 CE(softmax(logits / T), softmax(old logits / T)) (Hinton et al. "
        "2015): a higher one learns more from the less probable classes",
    )
    dreams: Literal["bank", "fresh"] = Field(
        "bank", description="bank: draw dreams once and keep them; fresh: draw new ones for every batch"
    )
    bank: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        None, description=f"dreams drawn from the previous scholar per task; {BY_RULE}"
    )
    balance: Balance = Field(
        "none",
        description="classes: draw every class equally often, of the real images of each task and (as labelled) of the "
        "bank of dreams; none: every image and every dream. Default with a backbone: classes; its solver is taught by "
        "as many dreams of each class as of any other in either case",
    )
    filter: Literal["none", "confidence", "agreement"] = Field(
        "none",
        description="keep all dreams; those of which the solver is at least `confidence` sure; or those that it takes "
        "for the class that the generator was asked for",
    )
    confidence: float = Field(0.5, ge=0, lt=1, description="least probability that filter=confidence keeps")
    shift: int | None = Field(
        None, ge=0, le=16, description="dreams are shifted by up to this many pixels; default: as solver.shift"
    )
    mixup: float = Field(
        0.0, ge=0, le=10, description="alpha of mixup between dreams (Zhang et al. 2018), for the solver; 0: none"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.labels == "hard" and self.temperature != 1:
            raise ValueError("replay.temperature changes soft labels only: set replay.labels=soft or temperature=1")
        return self


class OODSettings(Section):
    """Out-of-distribution detection: images that are unlike the dreams are called unfamiliar."""

    dreams: int = Field(1500, ge=0, le=100_000, description="dreams to compare with; 0: nothing is called unfamiliar")
    share: float = Field(0.05, gt=0, lt=1, description="share of dreams that would be called unfamiliar themselves")

    @model_validator(mode="after")
    def _enough(self) -> Self:
        check_none_or_enough("ood.dreams", self.dreams, 30)
        return self


class AuditSettings(Section):
    """The audit of the dreams after every task. Nothing here changes what is learned."""

    dreams: int = Field(2000, ge=0, le=1_000_000, description="dreams to look at; 0: no audit")
    steps: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None,
        description="training steps of the probe, a solver that is trained on dreams alone; default: as many as the "
        "solver's, 300 at most",
    )

    @model_validator(mode="after")
    def _enough(self) -> Self:
        check_none_or_enough("audit.dreams", self.dreams, 10)
        return self


class ComputeSettings(Section):
    """Device and precision."""

    device: str = Field("auto", description="where to compute: auto, cpu, cuda, cuda:1, mps, ...")
    precision: Literal["auto", "bf16-mixed", "32-true"] = Field(
        "auto", description="auto: bf16 autocast where the device multiplies bf16 natively, else fp32"
    )


class Settings(Section):
    """All settings of learning a task. Stored in the scholar.

    With a backbone, solver and generator are those of features by default: a head, and a mixture of Gaussians; and real
    photos are drawn by class.
    """

    image: ImageSettings = ImageSettings()
    budget: Budget = Field(
        "normal",
        description="how long to train where steps are not set: small and large take about 1/4 and 3 times as long as "
        "normal; or a number, so many times as long",
    )
    minutes: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="choose the budget that takes about so many minutes on this machine, whose pace is measured first; "
        "of an experiment: all of it",
    )
    backbone: BackboneSettings | None = Field(None, description="default: none, the scholar learns pixels")
    solver: AnySolverSettings = SolverSettings()
    generator: AnyGeneratorSettings = R3GANSettings()
    replay: ReplaySettings = ReplaySettings()
    ood: OODSettings = OODSettings()
    audit: AuditSettings = AuditSettings()
    compute: ComputeSettings = ComputeSettings()

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_features(cls, data: Any) -> Any:
        """Give a scholar with a backbone the kinds of features where none is named, and photos drawn by class."""
        if not isinstance(data, Mapping) or data.get("backbone") is None:
            return data
        sections = {part: with_kind(data.get(part, {}), part) for part in FEATURE_KINDS}
        generator = sections["generator"]
        if isinstance(generator, Mapping) and generator["kind"] in GENERATORS:
            sections["generator"] = {"conditional": True, **generator}
        replay = data.get("replay", {})
        if isinstance(replay, ReplaySettings):
            replay = replay.model_dump(exclude_unset=True)
        sections["replay"] = {"balance": "classes", **replay} if isinstance(replay, Mapping) else replay
        return {**data, **sections}

    @model_validator(mode="after")
    def _pixels_or_features(self) -> Self:
        solver, generator = self.solver.kind, self.generator.kind
        if self.backbone is None:
            for key, kind, wrong in (
                ("solver", solver, not isinstance(self.solver, SolverSettings)),
                ("generator", generator, isinstance(self.generator, MixtureSettings)),
            ):
                if wrong:
                    raise ValueError(
                        f"{key}.kind={kind} is for the features of a backbone: name one (--backbone), or choose a "
                        f"{key} of images"
                    )
            if self.image.size % 4 or self.image.size > 256:
                raise ValueError(
                    f"image.size: the side of an image is a multiple of 4, up to 256, got {self.image.size}"
                )
            return self
        if isinstance(self.solver, SolverSettings):
            raise ValueError(
                f"solver.kind={solver} classifies images, and a scholar with a backbone has features: choose "
                f"solver.kind={', '.join(FEATURE_SOLVERS)}, or --backbone none"
            )
        if not self.generator.conditional:
            raise ValueError(
                f"generator.conditional=false: with a backbone the solver learns from dreams of the class that was "
                f"asked for, and generator.kind={generator} would draw any: leave it out"
            )
        if isinstance(self.generator, OwnSettings):
            raise ValueError(
                f"generator.kind={generator} draws images, and a scholar with a backbone dreams of features: choose a "
                "generator of the package, or --backbone none"
            )
        # What is taught by dreams of all classes alone has no mix, and no dreams of one class among real images.
        if changed := [
            key for key in self.replay.model_fields_set if getattr(self.replay, key) != getattr(ReplaySettings(), key)
        ]:
            allowed = ("balance",) if isinstance(self.generator, MixtureSettings) else _REPLAY_OF_FEATURES
            if other := sorted(set(changed) - set(allowed)):
                raise ValueError(
                    f"replay.{other[0]} is not for generator.kind={generator} with a backbone: its solver learns from "
                    "dreams of all classes alone; leave it out"
                )
        return self

    @model_validator(mode="after")
    def _bank(self) -> Self:
        # After what a backbone excludes: there "classes" is a default, and fresh dreams are what is wrong.
        policy = self.replay
        if policy.dreams == "fresh" and (policy.balance != "none" or policy.filter != "none"):
            key, value = ("balance", policy.balance) if policy.balance != "none" else ("filter", policy.filter)
            raise ValueError(
                f"replay.dreams=fresh contradicts replay.{key}={value}, which chooses from a bank by the labels in it: "
                f"set replay.{key}=none or replay.dreams=bank"
            )
        return self

    @property
    def scale(self) -> float:
        """The length of training, in times of the normal budget."""
        return BUDGETS[self.budget] if isinstance(self.budget, str) else self.budget

    @property
    def described_budget(self) -> str:
        """The budget for people: ``normal``, or ``0.6 of normal, for 5 minutes``."""
        if isinstance(self.budget, str):
            return self.budget
        minutes = "" if self.minutes is None else f", for {self.minutes:g} minute{'s' * (self.minutes != 1)}"
        return f"{self.budget:g} of normal{minutes}"

    @property
    def views(self) -> int:
        """The augmented views of each photo that a backbone looks at. Raises TypeError for a scholar of pixels."""
        if self.backbone is None:
            raise TypeError("only a backbone looks at views")
        # Looking takes most of the time, and one view more is the plain one.
        return max(0, round(NORMAL_LOOKS * self.scale) - 1) if self.backbone.views is None else self.backbone.views

    @property
    def image_solver(self) -> SolverSettings:
        """The settings of a solver of images. Raises TypeError for a scholar with a backbone."""
        if not isinstance(self.solver, SolverSettings):
            raise TypeError(f"solver.kind={self.solver.kind} is of features")
        return self.solver

    @property
    def feature_solver(self) -> FeatureSolverSettings:
        """The settings of a solver of features. Raises TypeError for a scholar of pixels."""
        if isinstance(self.solver, SolverSettings):
            raise TypeError(f"solver.kind={self.solver.kind} is of images")
        return self.solver

    @property
    def trained_generator(self) -> GeneratorSettings:
        """The settings of a generator that is trained by steps. Raises TypeError for a mixture."""
        if isinstance(self.generator, MixtureSettings):
            raise TypeError("a mixture is fitted, not trained")
        return self.generator


# The settings of replay that a trained generator of features has: of the mix that it is trained on.
_REPLAY_OF_FEATURES = ("balance", "ratio", "generator_ratio", "bank")
# The kinds of a scholar with a backbone, where none is named.
FEATURE_KINDS: Mapping[str, str] = {"solver": "head", "generator": "mixture"}


def with_kind(section: Any, part: str) -> Any:
    """Return the section of a solver or generator of features, with the default kind where it has none."""
    return {"kind": FEATURE_KINDS[part], **section} if isinstance(section, Mapping) else section
