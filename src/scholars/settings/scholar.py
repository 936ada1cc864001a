"""The settings of learning: image shape, solver, replay, audit, device. `Settings` is stored in the scholar."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scholars.settings.base import BatchSize, Kind, Options, Rate, Section, Steps, Width, check_none_or_enough
from scholars.settings.generator import AnyGeneratorSettings, R3GANSettings


class ImageSettings(Section):
    """The one shape to which every task's images are brought. Fixed by a scholar's first task."""

    size: int = Field(32, ge=8, le=256, multiple_of=4, description="height and width in pixels, a multiple of 4")
    channels: Literal[1, 3] = Field(3, description="1 grey, 3 RGB")


class SolverSettings(Section):
    """The classifier and its training, per task."""

    kind: Kind = Field(
        "cnn",
        description="cnn; mlp, for images whose neighbouring pixels are unrelated (permuted MNIST); or one of your own "
        "(docs/own-networks.md)",
    )
    options: Options = Field({}, description="settings of a solver of your own, any keys")
    width: Width = Field(
        32, description="cnn: channels of the first of three stages, twice as many in each next; mlp: units of a layer"
    )
    steps: Steps = Field(1200, description="training steps per task")
    batch: BatchSize = Field(128, description="images a step, new and replayed together")
    rate: Rate = Field(3e-3, description="peak learning rate of the one-cycle schedule")
    warm_rate: Rate | None = Field(
        None,
        description="peak learning rate where training starts from the previous solver's weights; a lower one forgets "
        "less, and learns what is new more slowly; default: as rate",
    )
    warm_decay: float = Field(
        0.0,
        ge=0,
        le=2,
        description="a warm start's rate is divided by the number of tasks known to this power: the more is known, the "
        "less one more task may change; 1: as in a running mean",
    )
    weight_decay: float = Field(0.02, ge=0, le=1, description="AdamW's decoupled weight decay")
    shift: int = Field(2, ge=0, le=16, description="training images are shifted by up to this many pixels each way")
    warp: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="training images are rotated, stretched and sheared by up to this share of their size",
    )
    flip: bool = Field(False, description="training images are mirrored half of the time; wrong for digits and letters")
    invert: bool = Field(
        False,
        description="training images are made negatives half of the time (Cubuk et al. 2019): for what is as often "
        "light on dark as dark on light",
    )
    smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a given label that goes to all known classes alike (Szegedy et al. 2016); dreams are "
        "labelled by a solver, smoothly, and stay so",
    )
    noise: float = Field(
        0.0,
        ge=0,
        le=255,
        description="largest standard deviation of the noise on training images, on the 0..255 scale; hides from the "
        "solver what distinguishes dreams from real images",
    )
    start: Literal["warm", "fresh"] = Field(
        "warm", description="start from the previous solver's weights, or from new ones"
    )

    @model_validator(mode="after")
    def _warm(self) -> Self:
        if self.start == "fresh" and (self.warm_rate is not None or self.warm_decay):
            key = "warm_decay" if self.warm_rate is None else "warm_rate"
            raise ValueError(f"solver.{key} is that of a warm start: set solver.start=warm, or leave it out")
        return self


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
    bank: int = Field(12_000, ge=1, le=10_000_000, description="dreams drawn from the previous scholar per task")
    balance: Literal["none", "classes"] = Field(
        "none", description="classes: draw every class (as labelled) equally often from the bank; none: every dream"
    )
    filter: Literal["none", "confidence", "agreement"] = Field(
        "none",
        description="keep all dreams; those of which the solver is at least `confidence` sure; or those that it takes "
        "for the class that the generator was asked for",
    )
    confidence: float = Field(0.5, ge=0, lt=1, description="least probability that filter=confidence keeps")
    preview: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = Field(
        "auto",
        description="share of the solver's images of the new task that are dreams of it: else it could tell new "
        "classes from old by what is real; auto: half where there are new classes and a conditional adversary",
    )
    shift: int | None = Field(
        None, ge=0, le=16, description="dreams are shifted by up to this many pixels; default: as solver.shift"
    )
    mixup: float = Field(
        0.0, ge=0, le=10, description="alpha of mixup between dreams (Zhang et al. 2018), for the solver; 0: none"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.dreams == "fresh" and (self.balance != "none" or self.filter != "none"):
            key, value = ("balance", self.balance) if self.balance != "none" else ("filter", self.filter)
            raise ValueError(
                f"replay.dreams=fresh contradicts replay.{key}={value}, which chooses from a bank: set "
                f"replay.{key}=none or replay.dreams=bank"
            )
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
    steps: int = Field(
        300, ge=1, le=1_000_000, description="training steps of the probe, a solver that is trained on dreams alone"
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
    """All settings of learning a task. Stored in the scholar."""

    image: ImageSettings = ImageSettings()
    solver: SolverSettings = SolverSettings()
    generator: AnyGeneratorSettings = R3GANSettings()
    replay: ReplaySettings = ReplaySettings()
    ood: OODSettings = OODSettings()
    audit: AuditSettings = AuditSettings()
    compute: ComputeSettings = ComputeSettings()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        kind = self.generator.kind
        preview = self.replay.preview
        if preview not in ("auto", 0) and not self.generator.conditional:
            raise ValueError(
                f"replay.preview={preview} needs a conditional generator, and generator.kind={kind} is not: set "
                "generator.conditional=true, or replay.preview=0"
            )
        return self
