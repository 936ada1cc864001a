"""The settings of every kind of generator, and which of them a scholar dreams with."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scholars.section import BatchSize, Decay, Kind, Options, Rate, Section, Steps, Width


class KindSettings(Section):
    """What the settings of every kind of generator tell of it."""

    @property
    def batches_per_step(self) -> int:
        """How many batches one training step draws."""
        return 1

    @property
    def dreams_pass_for_real(self) -> bool:
        """Whether what it dreams of one task looks like what it dreams of another, and like real images."""
        return False


class FlowSettings(KindSettings):
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
    # False: over many generations of perceptrons dreams faded less with it; those of U-Nets taught less, in more time.
    distil: bool = Field(
        False,
        description="learn what the previous generator knows from its velocities at its dreams, instead of from the "
        "dreams (Masip et al. 2024), if it is a conditional flow, too",
    )
    ema: Decay = Field(0.995, description="decay of the moving average of the weights used to sample")
    solver: Literal["adams", "euler", "heun"] = Field(
        "adams",
        description="integrator of the sampling equation; heun asks the network twice a step"
        " but the last, the others once",
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


class VAESettings(KindSettings):
    """Variational autoencoder (Kingma & Welling 2014)."""

    steps: Steps = Field(3000, description="training steps per task")
    batch: BatchSize = Field(128, description="images a step")
    rate: Rate = Field(2e-3, description="peak learning rate")
    net: Literal["conv", "mlp"] = Field(
        "conv", description="the networks: conv; mlp, for images whose neighbouring pixels have nothing in common"
    )
    width: Width = Field(
        32, description="conv: channels of the largest feature maps, each halving doubles them; mlp: units of a layer"
    )
    latent: int = Field(64, ge=1, le=4096, description="dimensions of the code")
    variance: Annotated[float, Field(gt=0, le=100)] | Literal["fitted"] = Field(
        "fitted",
        description="of pixels, -1..1, around what is painted; fitted: what fits best (Rybkin et al. 2021). With a "
        "larger one, images are vaguer and more often show what they were asked for",
    )
    conditional: bool = Field(True, description="draw what is asked for, by task and class (Sohn et al. 2015)")
    distil: bool = Field(
        True,
        description="learn what the previous generator knows from what its decoder paints of the same codes, not from "
        "its dreams, if it is a conditional vae, too",
    )
    ema: Decay = Field(0.99, description="decay of the moving average of the weights used to sample")


class AdversarialSettings(KindSettings):
    """What the adversarial generators share."""

    steps: Steps = Field(4000, description="generator steps per task")
    batch: BatchSize = Field(32, description="images a step, of each of critic and generator")
    critic_steps: int = Field(1, ge=1, le=100, description="critic steps per generator step")
    rate: Rate = Field(1e-3, description="the generator's learning rate; decays linearly to zero")
    critic_rate: Rate = Field(2e-3, description="the critic's learning rate; decays linearly to zero")
    width: Width = Field(32, description="channels of the networks' largest feature maps; each halving doubles them")
    latent: int = Field(128, ge=1, le=4096, description="dimensions of the noise")
    ema: Decay = Field(0.99, description="decay of the moving average of the weights used to sample")
    conditional: bool = Field(False, description="draw what is asked for, by task and class (Miyato & Koyama 2018)")
    spread: float = Field(
        1.0,
        gt=0,
        le=3,
        description="standard deviation of the noise that dreams are painted from, 1 in training: more gives rarer "
        "pictures, of which the solver is less sure",
    )

    @property
    def batches_per_step(self) -> int:
        """One for each of the critic's steps; the painter is taught by the last."""
        return self.critic_steps

    @property
    def dreams_pass_for_real(self) -> bool:
        """A critic saw to it, for each condition by itself."""
        return self.conditional

    @model_validator(mode="after")
    def _spread_of_what_is_told(self) -> Self:
        if self.spread != 1 and not self.conditional:
            raise ValueError(
                "spread other than 1 needs conditional=true: else the painter does not know what was dreamt of, and is "
                "widened anew with every task"
            )
        return self


class GANSettings(AdversarialSettings):
    """Generative adversarial network (Goodfellow et al. 2014)."""

    critic_rate: Rate = Field(1e-3, description="the critic's learning rate; decays linearly to zero")
    loss: Literal["non-saturating", "minimax"] = Field("non-saturating", description="what the generator minimises")


class R3GANSettings(AdversarialSettings):
    """Relativistic GAN with penalties on real and painted images (Huang et al. 2024)."""

    steps: Steps = Field(2500, description="generator steps per task")
    rate: Rate = Field(2e-3, description="the generator's learning rate; decays linearly to zero")
    conditional: bool = Field(True, description="draw what is asked for, by task and class (Miyato & Koyama 2018)")
    penalty: float = Field(1.0, ge=0, le=1e4, description="coefficient of both gradient penalties (the paper's gamma)")
    penalised: float = Field(0.25, gt=0, le=1, description="share of each batch that the penalties are estimated from")
    classify: float = Field(
        0.0,
        ge=0,
        le=100,
        description="weight of a classifier in the critic, by which the painter learns to paint what it is asked for "
        "(Odena et al. 2017); helps where a class has few images or hard ones; 0: none",
    )

    @model_validator(mode="after")
    def _classified_as_told(self) -> Self:
        if self.classify and not self.conditional:
            raise ValueError("classify needs conditional=true: else nothing was asked for")
        return self


class WGANSettings(AdversarialSettings):
    """Wasserstein GAN with weight clipping (Arjovsky et al. 2017)."""

    clip: float = Field(
        0.03, gt=0, le=10, description="the critic's weights stay within this of zero (the paper's c = 0.01)"
    )


class WGANGPSettings(AdversarialSettings):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017)."""

    penalty: float = Field(10.0, ge=0, le=1e4, description="gradient penalty coefficient (the paper's lambda = 10)")


class OwnSettings(KindSettings):
    """A generator of your own, registered under another kind."""

    steps: Steps = Field(2000, description="training steps per task")
    batch: BatchSize = Field(64, description="images a step")
    conditional: bool = Field(True, description="whether it draws what is asked for, by task and class")
    options: Options = Field({}, description="what else it is told")


AnyKind = OwnSettings | FlowSettings | VAESettings | R3GANSettings | WGANGPSettings | WGANSettings | GANSettings


class GeneratorSettings(Section):
    """Which generator a scholar dreams with, and the settings of each kind."""

    kind: Kind = Field("r3gan", description="see `scholars generators`; or one of your own (docs/own-networks.md)")
    start: Literal["warm", "fresh"] = Field("warm", description="start from the previous generator's weights, or anew")
    size: int | None = Field(
        None, ge=8, le=256, multiple_of=4, description="pixels a side that the generator works at; default: image.size"
    )
    flow: FlowSettings = FlowSettings()
    wgan_gp: WGANGPSettings = Field(WGANGPSettings(), alias="wgan-gp")
    wgan: WGANSettings = WGANSettings()
    gan: GANSettings = GANSettings()
    r3gan: R3GANSettings = R3GANSettings()
    vae: VAESettings = VAESettings()
    own: OwnSettings = OwnSettings()

    def kinds(self) -> dict[str, AnyKind]:
        """The settings of every kind of the package, by its name."""
        return {
            "flow": self.flow,
            "r3gan": self.r3gan,
            "wgan-gp": self.wgan_gp,
            "wgan": self.wgan,
            "gan": self.gan,
            "vae": self.vae,
        }

    @property
    def chosen(self) -> AnyKind:
        """The settings of the chosen kind."""
        return self.kinds().get(self.kind, self.own)

    @property
    def chosen_key(self) -> str:
        """The key of these settings, for messages that name one."""
        return self.kind if self.kind in self.kinds() else "own"
