"""Small things that many tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings as hypothesis_settings

from scholars import registry
from scholars.config import build
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.tasks import Task, open_task

# How long an example takes says something about the machine, not about the code.
hypothesis_settings.register_profile("scholars", deadline=None)
hypothesis_settings.load_profile("scholars")

# In the background of a script SIGINT is ignored, by all that tests start, too: what they interrupt would never end.
signal.signal(signal.SIGINT, signal.default_int_handler)
# And under nohup SIGHUP is.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

TINY = {
    "image": {"size": 16, "channels": 1},
    "solver": {"width": 8, "steps": 60, "batch": 32},
    "generator": {
        "kind": "flow",
        "flow": {"width": 8, "steps": 12, "batch": 16, "sampling_steps": 2},
        "wgan-gp": {"width": 8, "steps": 3, "batch": 16, "latent": 16, "critic_steps": 2},
        "wgan": {"width": 8, "steps": 3, "batch": 16, "latent": 16},
        "gan": {"width": 8, "steps": 3, "batch": 16, "latent": 16},
        "r3gan": {"width": 8, "steps": 3, "batch": 16, "latent": 16},
        "vae": {"width": 8, "steps": 12, "batch": 16, "latent": 8},
    },
    "replay": {"bank": 600},
    "audit": {"dreams": 100, "steps": 5},
    "familiarity": {"dreams": 60},
}


def flat(document: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Nested settings by their dotted paths."""
    found: dict[str, object] = {}
    for key, value in document.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded pictures stay out of the user's cache directory, also those of processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCHOLARS_CACHE", str(tmp_path_factory.mktemp("decoded")))
        yield


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test registers is unknown to the next."""
    before, plugins = {part: dict(kinds) for part, kinds in registry._OWN.items()}, list(registry._PLUGINS)
    yield
    for part, kinds in before.items():
        registry._OWN[part] = kinds
    registry._PLUGINS[:] = plugins


@pytest.fixture(scope="session")
def tiny() -> Settings:
    """Settings so small that a task is learned in seconds; what they learn is not the point."""
    return build(Settings, TINY, None, where="tests")


@pytest.fixture(scope="session")
def low() -> Task:
    """The digits 0..4 of scikit-learn's Digits."""
    return open_task("digits").only(("0", "1", "2", "3", "4"))


@pytest.fixture(scope="session")
def high() -> Task:
    """The digits 5..9."""
    return open_task("digits").only(("5", "6", "7", "8", "9"))


@pytest.fixture(scope="session")
def one(low: Task, tiny: Settings) -> Scholar:
    """A scholar that learned `low`."""
    from scholars.learning import learn

    return learn(low, settings=tiny)


@pytest.fixture(scope="session")
def two(high: Task, one: Scholar) -> Scholar:
    """A scholar that learned `low`, then `high`."""
    from scholars.learning import learn

    return learn(high, one)


@pytest.fixture(scope="session")
def workers() -> Iterator[None]:
    """A Ray cluster of two workers on this machine: what asks for a cluster in this process is given that one."""
    pytest.importorskip("ray", reason="Ray, of the extra `ray`, is not installed")
    from scholars.clusters import cluster

    with cluster(None, 2):
        yield
