"""Settings: typed, validated, documented; the kinds of networks."""

from scholars.settings.generator import (
    DEFAULT_GENERATOR,
    GENERATORS,
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
    SolverSettings,
)

__all__ = [
    "DEFAULT_GENERATOR",
    "GENERATORS",
    "AdversarialSettings",
    "AnyGeneratorSettings",
    "AuditSettings",
    "ComputeSettings",
    "FlowSettings",
    "GANSettings",
    "GeneratorSettings",
    "ImageSettings",
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
