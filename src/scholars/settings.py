"""How a scholar learns: every setting, typed, documented and validated. `Settings` travels with the scholar."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

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


def _none_or(key: str, value: int, least: int) -> None:
    if 0 < value < least:
        raise ValueError(f"{key}={value} is too few: set {least} or more, or 0 for none")


class ImageSettings(Section):
    """The one shape to which every task's images are brought. Fixed by a scholar's first task."""

    size: int = Field(32, ge=8, le=256, multiple_of=4, description="height and width in pixels")
    channels: Literal[1, 3] = Field(3, description="1 grey, 3 RGB")


SOLVERS = ("cnn", "mlp")


class SolverSettings(Section):
    """The classifier and its training, per task."""

    kind: Kind = Field(
        "cnn",
        description="cnn; mlp, for images whose neighbouring pixels have nothing in common; or one of your own "
        "(docs/own-networks.md)",
    )
    options: Options = Field({}, description="what a solver of your own is told")
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
    weight_decay: float = Field(0.02, ge=0, le=1, description="AdamW's decoupled weight decay")
    shift: int = Field(2, ge=0, le=16, description="training images are shifted by up to this many pixels each way")
    flip: bool = Field(False, description="training images are mirrored half of the time; wrong for digits and letters")
    start: Literal["warm", "fresh"] = Field("warm", description="start from the previous solver's weights, or anew")

    @model_validator(mode="after")
    def _warm(self) -> Self:
        if self.start == "fresh" and self.warm_rate is not None:
            raise ValueError("solver.warm_rate is that of a warm start: set solver.start=warm, or leave it out")
        return self


class FlowSettings(Section):
    """Flow matching (Lipman et al. 2023), by default with a small U-Net."""

    steps: Steps = Field(1800, description="training steps per task")
    batch: BatchSize = Field(64, description="images a step")
    rate: Rate = Field(5e-3, description="peak learning rate")
    net: Literal["unet", "mlp"] = Field(
        "unet", description="the network: unet; mlp, for images whose neighbouring pixels have nothing in common"
    )
    width: Width = Field(
        32, description="unet: channels at the finest level, 2 and 4 times as many at the next; mlp: units of a layer"
    )
    patch: Literal[1, 2, 4] = Field(2, description="pixels a side that are folded into channels before the network")
    conditional: bool = Field(True, description="draw what is asked for, by task and class")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="share of images whose condition is withheld (classifier-free; Ho & Salimans 2022)"
    )
    guidance: float = Field(
        1.0,
        ge=0,
        le=20,
        description="sample from v(none) + guidance * (v(condition) - v(none)); 1: the condition alone",
    )
    ema: Decay = Field(0.995, description="decay of the moving average of the weights used to sample")
    solver: Literal["adams", "euler", "heun"] = Field(
        "adams", description="integrator of the sampling equation; heun asks the network twice a step, the others once"
    )
    sampling_steps: int = Field(5, ge=1, le=1000, description="integrator steps an image")
    warp: float = Field(1.6, ge=0.1, le=10, description="times of the steps: (i / sampling_steps)^warp; 1: equal steps")

    @model_validator(mode="after")
    def _guided_by_something(self) -> Self:
        if self.guidance != 1 and (not self.conditional or self.dropout == 0):
            raise ValueError(
                "guidance other than 1 needs conditional=true and dropout > 0: without them there is no pair of "
                "velocities to go between"
            )
        return self


class VAESettings(Section):
    """Variational autoencoder (Kingma & Welling 2014), convolutional."""

    steps: Steps = Field(3000, description="training steps per task")
    batch: BatchSize = Field(128, description="images a step")
    rate: Rate = Field(2e-3, description="peak learning rate")
    width: Width = Field(32, description="channels of the networks' largest feature maps; each halving doubles them")
    latent: int = Field(64, ge=1, le=4096, description="dimensions of the code")
    conditional: bool = Field(True, description="draw what is asked for, by task and class (Sohn et al. 2015)")
    ema: Decay = Field(0.99, description="decay of the moving average of the weights used to sample")


class AdversarialSettings(Section):
    """What the adversarial generators share."""

    steps: Steps = Field(4000, description="generator steps per task")
    batch: BatchSize = Field(32, description="images a step, of each of critic and generator")
    critic_steps: int = Field(1, ge=1, le=100, description="critic steps per generator step")
    rate: Rate = Field(1e-3, description="the generator's learning rate; decays linearly to zero")
    critic_rate: Rate = Field(2e-3, description="the critic's learning rate; decays linearly to zero")
    width: Width = Field(32, description="channels of the networks' largest feature maps; each halving doubles them")
    latent: int = Field(128, ge=1, le=4096, description="dimensions of the noise")
    ema: Decay = Field(0.99, description="decay of the moving average of the weights used to sample")
    conditional: Literal[False] = Field(False, description="these draw what they please, not what is asked for")


class GANSettings(AdversarialSettings):
    """Generative adversarial network (Goodfellow et al. 2014)."""

    critic_rate: Rate = Field(1e-3, description="the critic's learning rate; decays linearly to zero")
    loss: Literal["non-saturating", "minimax"] = Field("non-saturating", description="what the generator minimises")


class WGANSettings(AdversarialSettings):
    """Wasserstein GAN with weight clipping (Arjovsky et al. 2017)."""

    clip: float = Field(0.03, gt=0, le=10, description="the critic's weights stay within this of zero (the paper's c)")


class WGANGPSettings(AdversarialSettings):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017)."""

    penalty: float = Field(10.0, ge=0, le=1e4, description="gradient penalty coefficient (the paper's lambda = 10)")


class OwnSettings(Section):
    """A generator of your own, registered under another kind."""

    steps: Steps = Field(2000, description="training steps per task")
    batch: BatchSize = Field(64, description="images a step")
    conditional: bool = Field(True, description="whether it draws what is asked for, by task and class")
    options: Options = Field({}, description="what else it is told")


KindSettings = OwnSettings | FlowSettings | VAESettings | WGANGPSettings | WGANSettings | GANSettings


class GeneratorSettings(Section):
    """Which generator a scholar dreams with, and the settings of each kind."""

    kind: Kind = Field("flow", description="see `scholars generators`; or one of your own (docs/own-networks.md)")
    start: Literal["warm", "fresh"] = Field("warm", description="start from the previous generator's weights, or anew")
    size: int | None = Field(
        None, ge=8, le=256, multiple_of=4, description="pixels a side that the generator works at; default: image.size"
    )
    flow: FlowSettings = FlowSettings()
    wgan_gp: WGANGPSettings = Field(WGANGPSettings(), alias="wgan-gp")
    wgan: WGANSettings = WGANSettings()
    gan: GANSettings = GANSettings()
    vae: VAESettings = VAESettings()
    own: OwnSettings = OwnSettings()

    def kinds(self) -> dict[str, KindSettings]:
        """The settings of every kind of the package, by its name."""
        return {"flow": self.flow, "wgan-gp": self.wgan_gp, "wgan": self.wgan, "gan": self.gan, "vae": self.vae}

    @property
    def chosen(self) -> KindSettings:
        """The settings of the chosen kind."""
        return self.kinds().get(self.kind, self.own)

    @property
    def chosen_key(self) -> str:
        """The key of these settings, for messages that name one."""
        return self.kind if self.kind in self.kinds() else "own"


class ReplaySettings(Section):
    """How the past enters the batches of the present."""

    ratio: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = Field(
        "auto",
        description="share of new, real data in a batch (Shin et al. 2017, r); auto: in proportion to the classes that "
        "the new task and the earlier tasks brought",
    )
    labels: Literal["soft", "hard"] = Field(
        "soft", description="label of a dream: the solver's probabilities or argmax"
    )
    temperature: float = Field(
        1.0, gt=0, le=100, description="soft labels are softmax(logits / temperature) (Hinton et al. 2015)"
    )
    dreams: Literal["bank", "fresh"] = Field("bank", description="dream once and keep, or anew for every batch")
    bank: int = Field(12_000, ge=1, le=10_000_000, description="dreams drawn from the previous scholar per task")
    balance: Literal["none", "classes"] = Field(
        "none", description="draw dreams from the bank as they came, or each class (as labelled) equally often"
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
        if self.dreams == "fresh" and (self.balance != "none" or self.filter != "none"):
            key, value = ("balance", self.balance) if self.balance != "none" else ("filter", self.filter)
            raise ValueError(
                f"replay.dreams=fresh contradicts replay.{key}={value}, which chooses from a bank: set "
                f"replay.{key}=none or replay.dreams=bank"
            )
        if self.labels == "hard" and self.temperature != 1:
            raise ValueError("replay.temperature changes soft labels only: set replay.labels=soft or temperature=1")
        return self


class FamiliaritySettings(Section):
    """How images are told that are unlike anything learned: by comparing them with dreams."""

    dreams: int = Field(1500, ge=0, le=100_000, description="dreams to compare with; 0: nothing is called unfamiliar")
    share: float = Field(0.05, gt=0, lt=1, description="share of dreams that would be called unfamiliar themselves")

    @model_validator(mode="after")
    def _enough(self) -> Self:
        _none_or("familiarity.dreams", self.dreams, 30)
        return self


class AuditSettings(Section):
    """How closely dreams are looked at after every task. Nothing here changes what is learned."""

    dreams: int = Field(2000, ge=0, le=1_000_000, description="dreams looked at; 0: no audit")
    steps: int = Field(300, ge=1, le=1_000_000, description="training steps of the solver that sees dreams only")

    @model_validator(mode="after")
    def _enough(self) -> Self:
        _none_or("audit.dreams", self.dreams, 10)
        return self


class ComputeSettings(Section):
    """Where and how numbers are computed."""

    device: str = Field("auto", description="where to compute: auto, cpu, cuda, cuda:1, mps, ...")
    precision: Literal["auto", "bf16-mixed", "32-true"] = Field(
        "auto", description="auto: bf16 autocast where the device multiplies bf16 natively, else fp32"
    )


class Settings(Section):
    """How a scholar learns a task. Travels with the scholar."""

    image: ImageSettings = ImageSettings()
    solver: SolverSettings = SolverSettings()
    generator: GeneratorSettings = GeneratorSettings()
    replay: ReplaySettings = ReplaySettings()
    familiarity: FamiliaritySettings = FamiliaritySettings()
    audit: AuditSettings = AuditSettings()
    compute: ComputeSettings = ComputeSettings()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        kind = self.generator.kind
        if self.replay.filter == "agreement" and not self.generator.chosen.conditional:
            raise ValueError(
                f"replay.filter=agreement needs a generator that is asked for a class, and generator.kind={kind} is "
                "not conditional: choose generator.kind=flow or vae with conditional=true, or another replay.filter"
            )
        return self
