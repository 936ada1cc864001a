"""Small things that many tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import settings as hypothesis_settings

from scholars.scholar import Scholar
from scholars.settings import Settings, registry
from scholars.settings.overrides import build, changed
from scholars.tasks.open import open_task
from scholars.tasks.task import Task

# How long an example takes says something about the machine, not about the code.
hypothesis_settings.register_profile("scholars", deadline=None)
hypothesis_settings.load_profile("scholars")

# Processes of pytest-xdist have it: what commands print, in them and in those that they start, would be set in columns.
os.environ.pop("COLUMNS", None)

# In the background of a script SIGINT is ignored, by all that tests start, too: what they interrupt would never end.
signal.signal(signal.SIGINT, signal.default_int_handler)
# And under nohup SIGHUP is.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The settings of each kind of generator that train in a second.
TINY_GENERATORS: dict[str, dict[str, Any]] = {
    "flow": {"width": 8, "steps": 12, "batch": 16, "sampling_steps": 2},
    "wgan-gp": {"width": 8, "steps": 3, "batch": 16, "latent": 16, "critic_steps": 2},
    "wgan": {"width": 8, "steps": 3, "batch": 16, "latent": 16},
    "gan": {"width": 8, "steps": 3, "batch": 16, "latent": 16},
    "r3gan": {"width": 8, "steps": 3, "batch": 16, "latent": 16},
    "vae": {"width": 8, "steps": 12, "batch": 16, "latent": 8},
}
TINY: dict[str, object] = {
    "image": {"size": 16, "channels": 1},
    # As images are: what follows from the data by default has tests of its own.
    "solver": {"width": 8, "steps": 60, "batch": 32, "smoothing": 0.0, "warp": 0.0, "noise": 0.0, "invert": False},
    "generator": {"kind": "flow", **TINY_GENERATORS["flow"]},
    "replay": {"bank": 600},
    "audit": {"dreams": 100, "steps": 5},
    "ood": {"dreams": 60},
}


def tiny_generator(kind: str) -> dict[str, Any]:
    """Return a kind and its small settings by their dotted paths, as for ``--set``."""
    return {"generator.kind": kind, **{f"generator.{key}": value for key, value in TINY_GENERATORS[kind].items()}}


def with_changes(settings: Settings, **changes: Any) -> Settings:
    """Return ``settings`` with other values: ``solver__steps=3`` for ``solver.steps``."""
    return changed(settings, {key.replace("__", "."): value for key, value in changes.items()})


def tiny_with(settings: Settings, kind: str, **changes: Any) -> Settings:
    """Return ``settings`` with a small generator of another kind, and more changes as for `with_changes`."""
    return with_changes(changed(settings, tiny_generator(kind)), **changes)


def same_weights(a: Scholar, b: Scholar) -> bool:
    """Return whether two scholars are equal to the last bit, in all that is kept."""
    left, right = a._weights(), b._weights()
    return left.keys() == right.keys() and all(
        left[part].keys() == right[part].keys()
        and all(torch.equal(value, right[part][name]) for name, value in left[part].items())
        for part in left
    )


def flat(document: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Nested settings by their dotted paths."""
    found: dict[str, object] = {}
    for key, value in document.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep decoded images out of the user's cache directory, in processes that tests start, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCHOLARS_CACHE", str(tmp_path_factory.mktemp("decoded")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _precision_of_another_processor() -> Iterator[None]:
    """Compute nothing in bf16 with SCHOLARS_TEST_PRECISION=32-true, as on most processors: `make test-other-cpu`."""
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("SCHOLARS_TEST_PRECISION") == "32-true":
            patch.setattr("scholars.compute.device._multiplies_bf16", lambda device: False)
        yield


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Forget after each test what it registered."""
    before, plugins = {part: dict(kinds) for part, kinds in registry._KINDS.items()}, list(registry._PLUGINS)
    yield
    registry._KINDS.update(before)
    registry._PLUGINS[:] = plugins


@pytest.fixture(scope="session")
def tiny() -> Settings:
    """Settings so small that a task is learned in seconds; what they learn is not the point."""
    return build(Settings, TINY, None, where="tests")


@pytest.fixture(scope="session")
def low() -> Task:
    """The digits 0..4 of scikit-learn's Digits."""
    return open_task("digits").select_classes(("0", "1", "2", "3", "4"))


@pytest.fixture(scope="session")
def high() -> Task:
    """The digits 5..9."""
    return open_task("digits").select_classes(("5", "6", "7", "8", "9"))


@pytest.fixture(scope="session")
def one(low: Task, tiny: Settings) -> Scholar:
    """A scholar that learned `low`."""
    from scholars.learning.algorithm import learn

    return learn(low, settings=tiny)


@pytest.fixture(scope="session")
def two(high: Task, one: Scholar) -> Scholar:
    """A scholar that learned `low`, then `high`."""
    from scholars.learning.algorithm import learn

    return learn(high, one)


@pytest.fixture(scope="session")
def hasty(one: Scholar) -> Settings:
    """Settings with so few steps that they only show whether something changes."""
    few = {"solver__steps": 4, "generator__steps": 3, "replay__bank": 100, "ood__dreams": 0}
    return with_changes(one.settings, **few)


@pytest.fixture(scope="session")
def workers() -> Iterator[None]:
    """A Ray cluster of two workers on this machine: what asks for a cluster in this process is given that one."""
    pytest.importorskip("ray", reason="Ray, of the extra `ray`, is not installed")
    from scholars.compute.ray_cluster import cluster

    with cluster(None, 2):
        yield
