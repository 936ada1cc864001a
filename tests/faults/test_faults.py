"""Whatever happens while a scholar learns, what is on disk is the old scholar or the new one, complete.

After each fault the same command is repeated, and must end as if nothing had happened, to the last bit.
`benchmarks/faults.py` does the same at random moments, as often as one likes.
"""

from __future__ import annotations

import errno
import random
import resource
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, flat, same_weights, with_changes
from failing import failing_at
from forked import run_main, run_scholars, start, start_scholars

from scholars.errors import InputError, Interrupted, ScholarsError
from scholars.learning.algorithm import learn
from scholars.learning.callbacks import Callbacks
from scholars.learning.lifelong import teach
from scholars.scholar import Scholar
from scholars.settings import GENERATORS, Settings
from scholars.solvers import build_solver
from scholars.storage import files
from scholars.tasks.open import open_task
from scholars.tasks.task import Task
from scholars.training.loop import fit

SETTINGS = [f"{key}={value}" for key, value in flat(TINY).items()]


@pytest.fixture(scope="module")
def tiniest(tiny: Settings) -> Settings:
    return with_changes(tiny, solver__steps=5, generator__steps=4, replay__bank=100, audit__dreams=0, ood__dreams=30)


@pytest.fixture(scope="module")
def one(low: Task, tiniest: Settings) -> Scholar:
    return learn(low, settings=tiniest)


@pytest.fixture(scope="module")
def two(high: Task, one: Scholar) -> Scholar:
    return learn(high, one)


def second_task(folder: Path) -> list[str]:
    """Return the command."""
    return ["learn", str(folder), "digits", "--classes", "5,6,7,8,9", "--save-every", "0.05"]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scholar]:
    """A scholar of one task, and the next generation, learned without a fault."""
    folder = tmp_path_factory.mktemp("faults") / "first"
    # Long enough a training of the solver to be killed in.
    settings = [*SETTINGS, "solver.steps=80", "replay.bank=100", "audit.dreams=0"]
    run_scholars("learn", str(folder), "digits", "--classes", "0,1,2,3,4", "--set", *settings)
    next_generation = folder.with_name("next")
    shutil.copytree(folder, next_generation)
    run_scholars(*second_task(next_generation))
    return folder, Scholar.load(next_generation)


@pytest.mark.parametrize("written", ["learning.json", "generator.safetensors", "solver.safetensors"])
def test_a_killed_learner_goes_on_bit_for_bit(taught: tuple[Path, Scholar], tmp_path: Path, written: str) -> None:
    """Killed as soon as it has begun; while the generator is trained; and while the solver is."""
    first, expected = taught
    folder, note = tmp_path / "scholar", tmp_path / ".scholar.learning" / written
    shutil.copytree(first, folder)
    learner = start_scholars(*second_task(folder))
    while not note.exists():
        assert learner.is_alive(), "it ended, and never wrote it"
        time.sleep(0.002)
    learner.kill()
    learner.join()
    assert note.exists()
    assert same_weights(Scholar.load(folder), Scholar.load(first))
    run_scholars(*second_task(folder))
    assert same_weights(Scholar.load(folder), expected)
    assert {path.name for path in tmp_path.iterdir()} <= {"scholar", ".scholar.lock"}


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
        assert same_weights(kept, one) or same_weights(kept, two), f"fault {number}"
        assert [path.name for path in tmp_path.iterdir()] == ["scholar"], f"fault {number}"
        if kept.generation == 2:
            one.save(folder)
    assert number > 15


def test_writes_that_fail_while_learning_lose_nothing(one: Scholar, two: Scholar, high: Task, tmp_path: Path) -> None:
    """At a handful of the writes of `teach`: its notes, its checkpoints, the scholar itself."""
    folder = tmp_path / "scholar"
    one.save(folder)
    with failing_at(0, 0) as asked:
        assert same_weights(teach(folder, high), two)
    writes = asked[0]
    for number in random.Random(0).sample(range(1, writes + 1), 6):
        shutil.rmtree(folder)
        one.save(folder)
        with failing_at(number, errno.ENOSPC), pytest.raises(OSError, match="No space left"):
            teach(folder, high)
        left = Scholar.load(folder)
        assert same_weights(left, one) or same_weights(left, two), f"fault {number} of {writes}"
        if left.generation == 1:
            assert same_weights(teach(folder, high), two), f"fault {number} of {writes}"


def _learn_limited(words: list[str], output: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    run_main(words, output)


def test_a_real_limit_on_files_is_one_message(taught: tuple[Path, Scholar], tmp_path: Path) -> None:
    """The system itself refuses to write beyond 20 kB: neither weights nor checkpoints fit."""
    first, _ = taught
    folder = tmp_path / "scholar"
    shutil.copytree(first, folder)
    learner = start(_learn_limited, second_task(folder), tmp_path / "output")
    learner.join()
    assert learner.exitcode == 1
    output = (tmp_path / "output").read_text()
    assert "Traceback" not in output
    assert "File too large" in output
    assert same_weights(Scholar.load(folder), Scholar.load(first))


def test_a_clock_that_jumps_back_changes_nothing(
    one: Scholar, two: Scholar, high: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.save(tmp_path / "scholar")
    now = iter(range(10**9, 0, -3600))
    for clock in ("monotonic", "perf_counter", "time"):
        monkeypatch.setattr(time, clock, lambda: float(next(now)))
    assert same_weights(teach(tmp_path / "scholar", high), two)


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
        patch.setattr("scholars.learning.networks.build_solver", spoilt(build_solver))
        with pytest.raises(Exception, match=r"diverged again: .*Nothing was saved"), pytest.warns(match="starts again"):
            teach(tmp_path / "scholar", high, changes={"solver.start": "fresh"})
    assert same_weights(Scholar.load(tmp_path / "scholar"), one)


def test_weights_that_the_last_step_spoilt_are_never_saved(
    one: Scholar, high: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last loss that anybody looks at."""
    one.save(tmp_path / "scholar")

    def spoiling(trainee: Any, *arguments: Any, stage: str, **named: Any) -> None:
        fit(trainee, *arguments, stage=stage, **named)
        if stage == "solver":
            with torch.no_grad():
                trainee.modules["module"].head.bias[0] = float("inf")

    monkeypatch.setattr("scholars.learning.networks.fit", spoiling)
    with pytest.raises(ScholarsError, match=r"solver weight 'head\.bias' is not finite\. Nothing was saved"):
        teach(tmp_path / "scholar", high)
    assert same_weights(Scholar.load(tmp_path / "scholar"), one)


def test_what_replaces_a_file_is_on_the_disk_before_it_does_and_as_readable_as_any_other(
    one: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could leave the new name and nothing in it."""
    order: list[tuple[str, str]] = []
    sync, replaced = files.sync, Path.replace

    def syncing(path: Path) -> None:
        order.append(("sync", path.name))
        sync(path)

    def replacing(self: Path, target: Path) -> Path:
        order.append(("replace", self.name))
        return replaced(self, target)

    monkeypatch.setattr(files, "sync", syncing)
    monkeypatch.setattr(Path, "replace", replacing)
    files.write_text(tmp_path / "note", "words")
    name = order[0][1]
    assert order == [("sync", name), ("replace", name), ("sync", tmp_path.name)]
    monkeypatch.undo()
    one.save(tmp_path / "scholar")
    (tmp_path / "plain").touch()
    (tmp_path / "folder").mkdir()
    modes = {path: path.stat().st_mode for path in (tmp_path / "scholar", *(tmp_path / "scholar").iterdir())}
    assert modes.pop(tmp_path / "scholar") == (tmp_path / "folder").stat().st_mode
    assert {*modes.values(), (tmp_path / "note").stat().st_mode} == {(tmp_path / "plain").stat().st_mode}


@pytest.mark.parametrize("kind", GENERATORS)
def test_unfinished_work_takes_four_times_the_scholar_at_most(kind: str, tmp_path: Path) -> None:
    """At the default sizes, of every kind of generator, at any time: one checkpoint a stage."""
    digits = open_task("digits").select_classes(["0", "1", "2"])
    digits = replace(digits, train=digits.train[:64], test=digits.test[:16])
    short = {"solver.steps": 4, "solver.batch": 8, "generator.kind": kind, "audit.dreams": 0, "ood.dreams": 0}
    short |= {"generator.steps": 4, "generator.batch": 8}
    folder, sizes = tmp_path / "scholar", list[int]()

    def looked() -> bool:
        kept = list((tmp_path / ".scholar.learning").glob("*"))
        notes = {"learning.json", "seconds.json"}
        assert {path.name for path in kept} <= {*notes, "generator.safetensors", "solver.safetensors"}
        sizes.append(sum(path.stat().st_size for path in kept))
        return False

    teach(folder, digits, changes=short, callbacks=Callbacks(stopping=looked), save_every=0)
    assert len(sizes) > 8
    assert max(sizes) <= 4 * sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def test_who_was_killed_after_the_swap_is_not_taught_twice(
    one: Scholar, two: Scholar, high: Task, tmp_path: Path
) -> None:
    """The new scholar has taken its place, its work is still there: the same command finds it done, another goes on."""
    folder, work = tmp_path / "scholar", tmp_path / ".scholar.learning"
    one.save(folder)
    with failing_at(0, 0) as asked:
        teach(folder, high)
    last = asked[0]
    shutil.rmtree(folder)
    one.save(folder)
    # The last of all is that the work loses its name.
    with failing_at(last, errno.EIO), pytest.raises(OSError, match="Input/output"):
        teach(folder, high)
    assert work.is_dir()
    assert teach(folder, high).generation == 2
    assert not work.exists()
    assert same_weights(Scholar.load(folder), two)
    assert teach(folder, high).generation == 3


def test_what_a_killed_process_left_is_cleared_away(one: Scholar, two: Scholar, high: Task, tmp_path: Path) -> None:
    folder = tmp_path / "scholar"
    one.save(folder)
    shutil.copytree(folder, tmp_path / ".scholar.a1b2c3d4.tmp")
    (tmp_path / "..scholar.learning.a1b2c3d4.tmp").mkdir()
    others = (".scholar.two.a1b2c3d4.tmp", ".scholar.notes.tmp", "scholar.a1b2c3d4.tmp")
    for name in others:
        (tmp_path / name).mkdir()
    # Killed while it wrote whose work this is.
    (tmp_path / ".scholar.learning").mkdir()
    (tmp_path / ".scholar.learning" / ".learning.json.a1b2c3d4.tmp").write_text("{")
    assert same_weights(teach(folder, high), two)
    assert {path.name for path in tmp_path.iterdir()} == {"scholar", ".scholar.lock", *others}


def test_a_checkpoint_that_is_cut_short_is_refused_by_name(one: Scholar, high: Task, tmp_path: Path) -> None:
    one.save(tmp_path / "scholar")
    checkpoint = tmp_path / ".scholar.learning" / "generator.safetensors"
    with pytest.raises(Interrupted, match="stopped in stage 'solver'"):
        teach(tmp_path / "scholar", high, callbacks=Callbacks(stopping=checkpoint.exists))
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(InputError, match=r"generator\.safetensors is not a readable"):
        teach(tmp_path / "scholar", high)
