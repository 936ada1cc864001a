"""The checks of ``scholars doctor``: is everything that Scholars needs installed, and does it work?"""

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import psutil
import torch
from packaging.requirements import Requirement

from scholars.compute.device import device_for
from scholars.errors import ScholarsError
from scholars.evaluation.accuracy import accuracy
from scholars.learning.algorithm import learn
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, Settings
from scholars.settings.overrides import build
from scholars.tasks.array_cache import resolve_cache_folder
from scholars.tasks.data_directory import resolve_data_directory
from scholars.tasks.names import NEED_NO_DATA
from scholars.tasks.open import open_task
from scholars.tasks.torchvision_sets import list_local_sets

State = Literal["fine", "note", "wrong"]

# The oldest and the newest Python that the tests are run with.
_TESTED = ((3, 11), (3, 13))
# Free bytes. A scholar and its next generation take a few MB, torchvision's largest data set 340 MB.
_LOW_SPACE, _NO_SPACE = 2 * 2**30, 100 * 2**20
# For the self-test: far above chance (10 %), far below what the solver reaches (98 %).
_MIN_ACCURACY = 0.7


@dataclass(frozen=True)
class Finding:
    """The result of one check: fine, worth a note, or wrong: something will not work."""

    what: str
    state: State
    words: str


def examine(data_dir: Path | None = None) -> Iterator[Finding]:
    """Yield one finding after the other; the last check, learning a small task, takes about ten seconds."""
    yield _check_python()
    yield from _check_packages()
    yield from _check_compute()
    yield from _check_disk(data_dir)
    yield _check_data_sets(data_dir)
    yield _check_learning()


def _check_python() -> Finding:
    oldest, newest = _TESTED
    found = f"Python {platform.python_version()} on {platform.platform()}"
    if oldest <= sys.version_info[:2] <= newest:
        return Finding("python", "fine", found)
    tested = " to ".join(f"{major}.{minor}" for major, minor in _TESTED)
    return Finding("python", "note", f"{found}; the tests are run with {tested}")


def _check_packages() -> Iterator[Finding]:
    """Compare the installed versions with those that are required; packages of an extra may be missing."""
    for text in requires("scholars") or []:
        wanted = Requirement(text)
        extra = wanted.marker and "extra ==" in str(wanted.marker)
        if extra and 'extra == "dev"' in str(wanted.marker):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            missing = f"not installed; needed for {wanted.marker}" if extra else "not installed: pip install scholars"
            yield Finding(wanted.name, "note" if extra else "wrong", missing)
            continue
        fits = wanted.specifier.contains(found, prereleases=True)
        words = found if fits else f"{found}, and {wanted.specifier} is needed: pip install --upgrade {wanted.name}"
        yield Finding(wanted.name, "fine" if fits else "wrong", words)


def _check_compute() -> Iterator[Finding]:
    device = device_for(ComputeSettings())
    precision = "bf16 by autocast" if device.bf16 else "fp32 (bf16 would be emulated here, and slower)"
    yield Finding("device", "fine", f"{device.device}, {precision}")
    threads, cores = torch.get_num_threads(), psutil.cpu_count(logical=False) or os.cpu_count() or 1
    words = f"{threads} threads on {cores} cores"
    if threads < cores and device.device.type == "cpu":
        yield Finding("threads", "note", f"{words}: training is faster with all; see OMP_NUM_THREADS")
    else:
        yield Finding("threads", "fine", words)
    free = psutil.virtual_memory().available
    yield Finding("memory", "fine" if free > _LOW_SPACE else "note", f"{free / 2**30:.1f} GiB free")


def _check_disk(data_dir: Path | None) -> Iterator[Finding]:
    folders: dict[str, Callable[[], Path]] = {
        "data": lambda: resolve_data_directory(data_dir),
        "decoded pictures": resolve_cache_folder,
        "here": Path.cwd,
    }
    for what, resolve in folders.items():
        try:
            folder = resolve()
            existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
            with tempfile.TemporaryFile(dir=existing):
                free = shutil.disk_usage(existing).free
        except (ScholarsError, OSError) as error:
            # Data may be read where nothing can be written.
            yield Finding(what, "note" if what == "data" else "wrong", str(error))
            continue
        words = f"{folder}: {free / 2**30:.1f} GiB free"
        yield Finding(what, "wrong" if free < _NO_SPACE else "note" if free < _LOW_SPACE else "fine", words)


def _check_data_sets(data_dir: Path | None) -> Finding:
    try:
        found = list_local_sets(data_dir)
    except ScholarsError as error:
        return Finding("data sets", "wrong", str(error))
    words = ", ".join([*NEED_NO_DATA, *found])
    return Finding("data sets", "fine", f"{words} without a network; others are downloaded when first used")


def _check_learning() -> Finding:
    """Learn, save, load, predict and dream; compare the scholar that was loaded with the one that was saved."""
    start = time.perf_counter()
    small = {
        "image": {"size": 16, "channels": 1},
        "solver": {"width": 8, "steps": 150, "batch": 64},
        "generator": {"kind": "r3gan", "width": 8, "steps": 30},
        "ood": {"dreams": 100},
    }
    settings = build(Settings, small, None, where="the self-test")
    try:
        task = open_task("digits")
        learned = learn(task, settings=settings)
        with tempfile.TemporaryDirectory() as folder:
            learned.save(Path(folder) / "scholar")
            loaded = Scholar.load(Path(folder) / "scholar")
        images = task.resized(1, 16).test.tensor[:50]
        same = torch.equal(loaded.probabilities(images), learned.probabilities(images))
        same = same and torch.equal(loaded.dream(10)[0], learned.dream(10)[0])
        score = accuracy(loaded, task)
    except Exception as error:  # whatever is wrong with this machine is to be reported
        return Finding("self-test", "wrong", f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - start
    words = f"learned digits, saved, loaded and dreamt in {seconds:.0f} s; accuracy {100 * score:.0f} %"
    if not same:
        return Finding("self-test", "wrong", f"{words}, but the scholar that was loaded is not the one that was saved")
    if score < _MIN_ACCURACY:
        return Finding("self-test", "wrong", f"{words}: it should be {100 * _MIN_ACCURACY:.0f} % at least")
    return Finding("self-test", "fine", words)
