"""The guarantee of differential privacy with which a task is learned, and the settings that it rules out."""

from pydantic import Field

from scholars.errors import InputError
from scholars.settings.base import Section
from scholars.settings.features import MixtureSettings
from scholars.settings.scholar import Settings

# A larger epsilon is no privacy: odds that change by exp(50) say nothing.
LARGEST_EPSILON = 50.0
# A value that follows from the number of photos would tell it.
DEFAULT_DELTA = 1e-6
# Of a hundred photos, one may be told outright.
LARGEST_DELTA = 0.01


class Privacy(Section):
    """The guarantee with which a task is learned: (epsilon, delta)-differential privacy.

    It is of the photos of one person, of which there are up to ``group`` in the task: with any of them left out or put
    in, each outcome is at most exp(epsilon) times as probable, but for a probability of delta (Dwork & Roth 2014,
    definition 2.4).
    """

    epsilon: float = Field(gt=0, le=LARGEST_EPSILON, description="epsilon; above 50 there is no privacy")
    delta: float = Field(
        DEFAULT_DELTA,
        gt=0,
        le=LARGEST_DELTA,
        description="delta, far below 1 / photos: with this probability, nothing is promised",
    )
    group: int = Field(1, ge=1, le=1000, description="the most photos of one person in the task")
    disjoint: bool = Field(
        False, description="whether nobody of whom there are photos here is in an earlier task of the scholar, too"
    )
    insecure_seed: int | None = Field(
        None,
        ge=0,
        description="draw the noise from this seed, for tests: whoever knows it can take the noise away, so that the "
        "scholar is marked as not private",
    )


def check_private(settings: Settings) -> None:
    """Raise InputError for settings with which nothing can be learned privately."""
    if settings.backbone is None:
        raise InputError(
            "a private task is learned by a scholar with a backbone, and this one is of pixels: a generator that is "
            "trained on images has no guarantee"
        )
    if not isinstance(settings.generator, MixtureSettings):
        raise InputError(
            f"a private task is kept as memories, generator.kind=mixture: {settings.generator.kind} is trained on the "
            "features themselves"
        )
    if settings.minutes is not None:
        raise InputError("a budget that is fitted to minutes depends on the number of photos: set --budget instead")
