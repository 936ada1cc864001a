"""Settings: typed, validated, documented; the kinds of networks."""

from scholars.settings.base import Fit
from scholars.settings.features import (
    EMBEDDED,
    BackboneSettings,
    FeatureSolverSettings,
    HeadSettings,
    LDASettings,
    MixtureSettings,
    NCMSettings,
)
from scholars.settings.generator import (
    DEFAULT_GENERATOR,
    GENERATORS,
    GENERATORS_AND_MIXTURE,
    AdversarialSettings,
    AnyGeneratorSettings,
    FlowSettings,
    GANSettings,
    GeneratorSettings,
    OwnSettings,
    R3GANSettings,
    VAESettings,
    WGANGPSettings,
    WGANSettings,
)
from scholars.settings.scholar import (
    AuditSettings,
    ComputeSettings,
    ImageSettings,
    OODSettings,
    ReplaySettings,
    Settings,
)
from scholars.settings.solver import AnySolverSettings, SolverSettings

__all__ = [
    "DEFAULT_GENERATOR",
    "EMBEDDED",
    "GENERATORS",
    "GENERATORS_AND_MIXTURE",
    "AdversarialSettings",
    "AnyGeneratorSettings",
    "AnySolverSettings",
    "AuditSettings",
    "BackboneSettings",
    "ComputeSettings",
    "FeatureSolverSettings",
    "Fit",
    "FlowSettings",
    "GANSettings",
    "GeneratorSettings",
    "HeadSettings",
    "ImageSettings",
    "LDASettings",
    "MixtureSettings",
    "NCMSettings",
    "OODSettings",
    "OwnSettings",
    "R3GANSettings",
    "ReplaySettings",
    "Settings",
    "SolverSettings",
    "VAESettings",
    "WGANGPSettings",
    "WGANSettings",
]
