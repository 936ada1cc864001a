"""The settings of each kind of generator; ``generator.kind`` tells them apart."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from scholars.settings.base import BY_RULE, BatchSize, Decay, Kind, Options, Rate, Section, Steps, Width
from scholars.settings.features import MixtureSettings


class GeneratorSettings(Section):
    """The settings that every kind of generator has."""

    kind: Kind = Field(
        description="which generator: see `scholars generators`, or one of your own (docs/own-networks.md)"
    )
    start: Literal["warm", "fresh"] = Field(
        "warm", description="start from the previous generator's weights, or from new ones"
    )
    size: int | None = Field(
        None, ge=8, le=256, multiple_of=4, description="pixels a side that the generator works at; default: image.size"
    )
    steps: Steps | None = Field(None, description=f"training steps per task; {BY_RULE}")
    batch: BatchSize = Field(64, description="images a step")
    conditional: bool = Field(True, description="draw the class that is asked for, task by task")

    @property
    def batches_per_step(self) -> int:
        """The number of batches that one training step draws."""
        return 1


class FlowSettings(GeneratorSettings):
    """Flow matching (Lipman et al. 2023), by default with a small U-Net."""

    kind: Literal["flow"] = "flow"
    rate: Rate = Field(5e-3, description="peak learning rate")
    net: Literal["auto", "unet", "mlp"] = Field(
        "auto",
        description="the network: unet; mlp, for images whose neighbouring pixels have nothing in common; auto: mlp "
        "for features of a backbone, unet for images",
    )
    width: Width | None = Field(
        None,
        description="unet: channels at the finest level, 2 and 4 times as many at the next, default 32; mlp: units of "
        "a layer, default 512",
    )
    patch: Literal[1, 2, 4] = Field(
        2,
        description="pixels a side that are folded into channels before the network; features of a backbone have none",
    )
    dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of images whose condition is dropped in training, for guidance (Ho & Salimans 2022)",
    )
    guidance: float = Field(
        1.0,
        ge=0,
        le=20,
        description="sample from v(none) + guidance * (v(condition) - v(none)); 1: the condition alone",
    )
    # Off: over many generations of MLPs dreams degraded less with it; those of U-Nets taught less, and took longer.
    distil: bool = Field(
        False,
        description="learn the previous generator's velocities at its dreams, not the dreams (Masip et al. 2024), "
        "if it is a conditional flow, too",
    )
    ema: Decay = Field(0.995, description="decay of the moving average of the weights used to sample")
    solver: Literal["adams", "euler", "heun"] = Field(
        "adams",
        description="integrator of the sampling equation; heun evaluates the network twice a step"
        " but the last, the others once",
    )
    sampling_steps: int = Field(5, ge=1, le=1000, description="integrator steps an image")
    warp: float = Field(1.6, ge=0.1, le=10, description="times of the steps: (i / sampling_steps)^warp; 1: equal steps")

    @model_validator(mode="after")
    def _guided_by_something(self) -> Self:
        if self.guidance != 1 and (not self.conditional or self.dropout == 0):
            raise ValueError(
                "guidance other than 1 needs conditional=true and dropout > 0: without them there is no pair of "
                "velocities to extrapolate from"
            )
        return self


class VAESettings(GeneratorSettings):
    """Variational autoencoder (Kingma & Welling 2014)."""

    kind: Literal["vae"] = "vae"
    batch: BatchSize = Field(128, description="images a step")
    rate: Rate = Field(2e-3, description="peak learning rate")
    net: Literal["auto", "conv", "mlp"] = Field(
        "auto",
        description="the networks: conv; mlp, for images whose neighbouring pixels have nothing in common; auto: mlp "
        "for features of a backbone, conv for images",
    )
    width: Width | None = Field(
        None,
        description="conv: channels of the largest feature maps, each halving doubles them, default 32; mlp: units of "
        "a layer, default 512",
    )
    latent: int = Field(64, ge=1, le=4096, description="dimensions of the code")
    variance: Annotated[float, Field(gt=0, le=100)] | Literal["fitted"] = Field(
        "fitted",
        description="of pixels, in -1..1, around the decoded image; fitted: what fits best (Rybkin et al. 2021). A "
        "larger one makes blurrier images, which more often show their class",
    )
    conditional: bool = Field(True, description="draw what is asked for, by task and class (Sohn et al. 2015)")
    distil: bool = Field(
        True,
        description="learn the previous decoder's images of the same codes, instead of its dreams, if it is a "
        "conditional vae, too",
    )
    ema: Decay = Field(0.99, description="decay of the moving average of the weights used to sample")


class AdversarialSettings(GeneratorSettings):
    """The settings that every adversarial generator has."""

    steps: Steps | None = Field(None, description=f"generator steps per task; {BY_RULE}")
    batch: BatchSize = Field(32, description="images a step, of each of critic and generator")
    critic_steps: int = Field(1, ge=1, le=100, description="critic steps per generator step")
    rate: Rate = Field(1e-3, description="the generator's learning rate; decays linearly to zero")
    critic_rate: Rate = Field(2e-3, description="the critic's learning rate; decays linearly to zero")
    net: Literal["auto", "conv", "mlp"] = Field(
        "auto",
        description="the networks: conv; mlp, for images whose neighbouring pixels have nothing in common; auto: mlp "
        "for features of a backbone, conv for images",
    )
    width: Width | None = Field(
        None,
        description="conv: channels of the largest feature maps, each halving doubles them, default 32, of r3gan 16; "
        "mlp: units of a layer, default 512",
    )
    latent: int = Field(128, ge=1, le=4096, description="dimensions of the noise")
    ema: Decay = Field(0.99, description="decay of the moving average of the weights used to sample")
    conditional: bool = Field(False, description="draw what is asked for, by task and class (Miyato & Koyama 2018)")
    spread: float | None = Field(
        None,
        gt=0,
        le=3,
        description="standard deviation of the noise that dreams are drawn from, 1 in training: more gives rarer "
        "images, of which the solver is less sure; default: 1, of a conditional r3gan 1.2",
    )

    @property
    def batches_per_step(self) -> int:
        """One for each of the critic's steps; the generator uses the last."""
        return self.critic_steps

    @property
    def dream_spread(self) -> float:
        """The standard deviation of the noise that dreams are drawn from."""
        return self.spread or 1.0

    @model_validator(mode="after")
    def _spread_of_what_is_told(self) -> Self:
        if self.spread not in (None, 1) and not self.conditional:
            raise ValueError(
                "spread other than 1 needs conditional=true: else the generator cannot tell dreams from new images, "
                "and its noise is widened again with every task"
            )
        return self


class GANSettings(AdversarialSettings):
    """Generative adversarial network (Goodfellow et al. 2014)."""

    kind: Literal["gan"] = "gan"
    critic_rate: Rate = Field(1e-3, description="the critic's learning rate; decays linearly to zero")
    loss: Literal["non-saturating", "minimax"] = Field("non-saturating", description="what the generator minimises")


class R3GANSettings(AdversarialSettings):
    """Relativistic GAN with gradient penalties on real and generated images (Huang et al. 2024)."""

    kind: Literal["r3gan"] = "r3gan"
    batch: BatchSize = Field(64, description="images a step, of each of critic and generator")
    rate: Rate = Field(4e-3, description="the generator's learning rate; decays linearly to zero")
    critic_rate: Rate = Field(4e-3, description="the critic's learning rate; decays linearly to zero")
    conditional: bool = Field(True, description="draw what is asked for, by task and class (Miyato & Koyama 2018)")
    penalty: float = Field(1.0, ge=0, le=1e4, description="coefficient of both gradient penalties (the paper's gamma)")
    penalised: float = Field(0.25, gt=0, le=1, description="share of each batch that the penalties are estimated from")
    classify: float | None = Field(
        None,
        ge=0,
        le=100,
        description="weight of a classifier in the critic, by which the generator learns to show the class asked for "
        "(Odena et al. 2017); 0: none; default: 0.3 if conditional",
    )

    @property
    def dream_spread(self) -> float:
        """The standard deviation of the noise that dreams are drawn from."""
        return self.spread or (1.2 if self.conditional else 1.0)

    @property
    def classification(self) -> float:
        """The weight of the critic's classifier."""
        return self.classify if self.classify is not None else 0.3 * self.conditional

    @model_validator(mode="after")
    def _classified_as_told(self) -> Self:
        if self.classify and not self.conditional:
            raise ValueError("classify needs conditional=true: else there is no class to predict")
        return self


class WGANSettings(AdversarialSettings):
    """Wasserstein GAN with weight clipping (Arjovsky et al. 2017)."""

    kind: Literal["wgan"] = "wgan"
    clip: float = Field(
        0.03, gt=0, le=10, description="the critic's weights stay within this of zero (the paper's c = 0.01)"
    )


class WGANGPSettings(AdversarialSettings):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017)."""

    kind: Literal["wgan-gp"] = "wgan-gp"
    penalty: float = Field(10.0, ge=0, le=1e4, description="gradient penalty coefficient (the paper's lambda = 10)")


class OwnSettings(GeneratorSettings):
    """A generator of your own, registered under a kind of its own."""

    options: Options = Field({}, description="settings of your own, any keys")


# The kinds of the package that are trained by steps, in the order in which they are listed.
GENERATORS: Mapping[str, type[GeneratorSettings]] = {
    "flow": FlowSettings,
    "r3gan": R3GANSettings,
    "wgan-gp": WGANGPSettings,
    "wgan": WGANSettings,
    "gan": GANSettings,
    "vae": VAESettings,
}
GENERATORS_AND_MIXTURE: Mapping[str, type[GeneratorSettings] | type[MixtureSettings]] = {
    **GENERATORS,
    "mixture": MixtureSettings,
}
DEFAULT_GENERATOR = "r3gan"
_OWN = "own"


def generator_settings(kind: str) -> type[GeneratorSettings] | type[MixtureSettings]:
    """Return the settings class of a kind; `OwnSettings` for one that is not of this package."""
    return GENERATORS_AND_MIXTURE.get(kind, OwnSettings)


def switch_kind(section: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the ``generator`` section for another kind: its own defaults, but ``start`` and ``size`` as they were."""
    kept = [key for key in ("start", "size") if key in generator_settings(kind).model_fields]
    return {"kind": kind} | {key: section[key] for key in kept if key in section}


def _tag(value: Any) -> str:
    """Tell pydantic which class of the union a value is of."""
    kind = value.get("kind", DEFAULT_GENERATOR) if isinstance(value, Mapping) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) and kind in GENERATORS_AND_MIXTURE else _OWN


AnyGeneratorSettings = Annotated[
    Annotated[MixtureSettings, Tag("mixture")]
    | Annotated[FlowSettings, Tag("flow")]
    | Annotated[R3GANSettings, Tag("r3gan")]
    | Annotated[WGANGPSettings, Tag("wgan-gp")]
    | Annotated[WGANSettings, Tag("wgan")]
    | Annotated[GANSettings, Tag("gan")]
    | Annotated[VAESettings, Tag("vae")]
    | Annotated[OwnSettings, Tag(_OWN)],
    Discriminator(_tag),
]
