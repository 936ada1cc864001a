"""Whatever happens while a scholar learns, what is on disk is the old scholar or the new one, whole.

Each fault is followed by the same command again, which must end as if nothing had happened, down to the last bit.
`benchmarks/faults.py` does the same at random moments, as often as one likes.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, flat
from safetensors.torch import save_file

from scholars import store
from scholars.errors import InputError
from scholars.lifetime import Watch, teach
from scholars.scholar import Scholar
from scholars.solvers import build_solver
from scholars.tasks import Task

SETTINGS = [f"{key}={value}" for key, value in flat(TINY).items()]


def weights(scholar: Scholar) -> dict[str, torch.Tensor]:
    assert scholar.generator is not None
    return {**scholar.solver.state_dict(), **{f"g/{k}": v for k, v in scholar.generator.state_dict().items()}}


def same(a: Scholar, b: Scholar) -> bool:
    x, y = weights(a), weights(b)
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "scholars", "learn", str(folder), "digits", "--classes", "5,6,7,8,9"]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scholar, float]:
    """A scholar of one task; what becomes of it when nothing happens; and the seconds that this takes."""
    folder = tmp_path_factory.mktemp("faults") / "first"
    first = [sys.executable, "-m", "scholars", "learn", str(folder), "digits", "--classes", "0,1,2,3,4"]
    subprocess.run([*first, "--set", *SETTINGS, "solver.steps=150"], check=True, capture_output=True)
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    began = time.monotonic()
    subprocess.run(command(whole), check=True, capture_output=True)
    return folder, Scholar.load(whole), time.monotonic() - began


@pytest.mark.parametrize("share", [0.55, 0.7, 0.8, 0.9, 0.97])
def test_a_killed_learner_goes_on_bit_for_bit(
    taught: tuple[Path, Scholar, float], tmp_path: Path, share: float
) -> None:
    """Killed after a share of the time that it takes, of which more than the first half is Python's start."""
    first, whole, seconds = taught
    folder = tmp_path / "scholar"
    shutil.copytree(first, folder)
    learner = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(share * seconds)
    learner.send_signal(signal.SIGKILL)
    learner.wait()
    left = Scholar.load(folder)
    assert same(left, Scholar.load(first)) or same(left, whole)
    if left.generation == 1:
        subprocess.run(command(folder), check=True, capture_output=True)
    assert same(Scholar.load(folder), whole)
    assert {path.name for path in tmp_path.iterdir()} <= {"scholar", ".scholar.lock"}


@contextmanager
def failing_at(number: int, code: int) -> Iterator[list[int]]:
    """The ``number``-th time that anything is to be written, moved or synced, the system says no; counts the times."""
    asked = [0]

    def guarded(function: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            asked[0] += 1
            if asked[0] == number:
                raise OSError(code, os.strerror(code))
            return function(*arguments, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scholars.store.save_file", guarded(save_file))
        patch.setattr(tempfile, "mkstemp", guarded(tempfile.mkstemp))
        patch.setattr(tempfile, "mkdtemp", guarded(tempfile.mkdtemp))
        patch.setattr(os, "fsync", guarded(os.fsync))
        for name in ("write_text", "rename", "replace", "mkdir", "chmod"):
            patch.setattr(Path, name, guarded(getattr(Path, name)))
        patch.setattr(store, "_swapped", guarded(store._swapped))
        yield asked


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_every_write_of_a_scholar_may_fail(one: Scholar, two: Scholar, tmp_path: Path, code: int) -> None:
    folder = tmp_path / "scholar"
    one.save(folder)
    number, failed = 0, True
    while failed:
        number += 1
        with failing_at(number, code) as asked:
            try:
                two.save(folder)
            except OSError:
                failed = True
            else:
                failed = asked[0] >= number
        kept = Scholar.load(folder)
        assert same(kept, one) or same(kept, two), f"fault {number}"
        assert [path.name for path in tmp_path.iterdir()] == ["scholar"], f"fault {number}"
        if kept.generation == 2:
            one.save(folder)
    assert number > 15


def test_writes_that_fail_while_learning_lose_nothing(one: Scholar, two: Scholar, high: Task, tmp_path: Path) -> None:
    """At a handful of the writes of `teach`: its notes, its checkpoints, the scholar itself."""
    folder = tmp_path / "scholar"
    one.save(folder)
    with failing_at(0, 0) as asked:
        assert same(teach(folder, high), two)
    writes = asked[0]
    for number in random.Random(0).sample(range(1, writes + 1), 6):
        shutil.rmtree(folder)
        one.save(folder)
        with failing_at(number, errno.ENOSPC), pytest.raises(OSError, match="No space left"):
            teach(folder, high)
        left = Scholar.load(folder)
        assert same(left, one) or same(left, two), f"fault {number} of {writes}"
        if left.generation == 1:
            assert same(teach(folder, high), two), f"fault {number} of {writes}"


def test_a_real_limit_on_files_is_one_message(taught: tuple[Path, Scholar, float], tmp_path: Path) -> None:
    """The system itself refuses to write beyond 20 kB: no weights, no checkpoint fit."""
    first, _, _ = taught
    folder = tmp_path / "scholar"
    shutil.copytree(first, folder)

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(command(folder), capture_output=True, text=True, preexec_fn=limited, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert same(Scholar.load(folder), Scholar.load(first))


def test_a_clock_that_jumps_back_changes_nothing(
    one: Scholar, two: Scholar, high: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.save(tmp_path / "scholar")
    now = iter(range(10**9, 0, -3600))
    for clock in ("monotonic", "perf_counter", "time"):
        monkeypatch.setattr(time, clock, lambda: float(next(now)))
    assert same(teach(tmp_path / "scholar", high), two)


def test_weights_that_are_not_finite_are_never_saved(one: Scholar, high: Task, tmp_path: Path) -> None:
    one.save(tmp_path / "scholar")

    def spoilt(previous: Any) -> Any:
        def built(*arguments: Any) -> Any:
            module = previous(*arguments)
            with torch.no_grad():
                next(iter(module.parameters())).fill_(float("nan"))
            return module

        return built

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scholars.teaching.build_solver", spoilt(build_solver))
        with pytest.raises(Exception, match=r"diverged again: .*Nothing was saved"), pytest.warns(match="begins anew"):
            teach(tmp_path / "scholar", high, changes={"solver.start": "fresh"})
    assert same(Scholar.load(tmp_path / "scholar"), one)


def test_checkpoints_are_few_and_small(one: Scholar, high: Task, tmp_path: Path) -> None:
    """A file a stage. Of each: weights, and for every parameter two moments: three times the weights, and names."""
    one.save(tmp_path / "scholar")
    asked = iter(range(10_000))
    with pytest.raises(Exception, match="stopped"):
        teach(tmp_path / "scholar", high, watch=Watch(stopping=lambda: next(asked) >= 60))
    kept = {path.name: path.stat().st_size for path in (tmp_path / ".scholar.learning").iterdir()}
    assert set(kept) <= {"learning.json", "generator.safetensors", "solver.safetensors", "audit.safetensors"}
    for part in ("generator", "solver"):
        own = (tmp_path / "scholar" / f"{part}.safetensors").stat().st_size
        # The generator's training holds two sets of weights, the live ones and their average.
        assert kept.get(f"{part}.safetensors", 0) <= 4.5 * own


def test_a_checkpoint_that_is_cut_short_is_refused_by_name(one: Scholar, high: Task, tmp_path: Path) -> None:
    one.save(tmp_path / "scholar")
    asked = iter(range(10_000))
    with pytest.raises(Exception, match="stopped"):
        teach(tmp_path / "scholar", high, watch=Watch(stopping=lambda: next(asked) >= 60))
    checkpoint = tmp_path / ".scholar.learning" / "generator.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(InputError, match=r"generator\.safetensors is not a readable"):
        teach(tmp_path / "scholar", high)
