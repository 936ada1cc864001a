"""Is everything here that Scholars needs? What `scholars doctor` looks at, and what it says."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import psutil
import torch
from packaging.requirements import Requirement

from scholars.compute import machine
from scholars.config import build
from scholars.errors import ScholarsError
from scholars.evaluate import accuracy
from scholars.learning import learn
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, Settings
from scholars.tasks import open_task
from scholars.tasks.listing import decoded_pictures
from scholars.tasks.named import at_hand, data_directory

State = Literal["fine", "note", "wrong"]

# The versions of Python that the tests are run with.
_TESTED = ((3, 11), (3, 13))
# Bytes: room for a scholar and its next generation is a few MB; for torchvision's largest data set 340 MB.
_LITTLE, _TOO_LITTLE = 2 * 2**30, 100 * 2**20
# What a solver of the self-test is right on: by far better than chance (10 %), by far worse than it ends (98 %).
_LEARNED = 0.7


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: fine; worth a note; or wrong, so that something will not work."""

    what: str
    state: State
    words: str


def examine(data_dir: Path | None = None) -> Iterator[Finding]:
    """Look at one thing after the other; the last, learning a small task, takes some ten seconds."""
    yield _python()
    yield from _packages()
    yield from _computing()
    yield from _room(data_dir)
    yield _data_sets(data_dir)
    yield _self_test()


def _python() -> Finding:
    low, high = _TESTED
    found = f"Python {platform.python_version()} on {platform.platform()}"
    if low <= sys.version_info[:2] <= high:
        return Finding("python", "fine", found)
    return Finding("python", "note", f"{found}; the tests are run with {_dotted(low)} to {_dotted(high)}")


def _dotted(release: tuple[int, int]) -> str:
    return ".".join(map(str, release))


def _packages() -> Iterator[Finding]:
    """What the installation asks for and has; what belongs to an extra may be missing."""
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


def _computing() -> Iterator[Finding]:
    here = machine(ComputeSettings())
    bf16 = "bf16 by autocast" if here.bf16 else "fp32 (bf16 would be emulated here, and slower)"
    yield Finding("device", "fine", f"{here.device}, {bf16}")
    threads, cores = torch.get_num_threads(), psutil.cpu_count(logical=False) or os.cpu_count() or 1
    words = f"{threads} threads on {cores} cores"
    if threads < cores and here.device.type == "cpu":
        yield Finding("threads", "note", f"{words}: training would be faster with all; see OMP_NUM_THREADS")
    else:
        yield Finding("threads", "fine", words)
    free = psutil.virtual_memory().available
    yield Finding("memory", "fine" if free > _LITTLE else "note", f"{free / 2**30:.1f} GiB free")


def _room(data_dir: Path | None) -> Iterator[Finding]:
    places = {"data": data_dir, "decoded pictures": decoded_pictures(), "here": Path.cwd()}
    for what, asked in places.items():
        try:
            place = data_directory(asked) if what == "data" else asked
            assert place is not None
            there = next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
            with tempfile.TemporaryFile(dir=there):
                free = shutil.disk_usage(there).free
        except (ScholarsError, OSError) as error:
            # Data may be read where nothing can be written.
            yield Finding(what, "note" if what == "data" else "wrong", str(error))
            continue
        words = f"{place}: {free / 2**30:.1f} GiB free"
        yield Finding(what, "wrong" if free < _TOO_LITTLE else "note" if free < _LITTLE else "fine", words)


def _data_sets(data_dir: Path | None) -> Finding:
    try:
        found = at_hand(data_dir)
    except ScholarsError as error:
        return Finding("data sets", "wrong", str(error))
    words = ", ".join(["digits", "street", *found])
    return Finding("data sets", "fine", f"{words} without a network; others are downloaded when they are first used")


def _self_test() -> Finding:
    """Learn, save, load, predict and dream, and see that what was loaded is what was saved."""
    began = time.perf_counter()
    small = {
        "image": {"size": 16, "channels": 1},
        "solver": {"width": 8, "steps": 150, "batch": 64},
        "generator": {"kind": "r3gan", "r3gan": {"width": 8, "steps": 30}},
        "familiarity": {"dreams": 100},
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
        right = accuracy(loaded, task)
    except Exception as error:  # whatever is wrong with this machine is what the doctor is for
        return Finding("self-test", "wrong", f"{type(error).__name__}: {error}")
    words = (
        f"learned digits, saved, loaded and dreamt in {time.perf_counter() - began:.0f} s; {100 * right:.0f} % right"
    )
    if not same:
        return Finding("self-test", "wrong", f"{words}, but the scholar that was loaded is not the one that was saved")
    if right < _LEARNED:
        return Finding("self-test", "wrong", f"{words}: it should be right on {100 * _LEARNED:.0f} % at least")
    return Finding("self-test", "fine", words)
