"""A scholar in its folder: taught one task after another, by one process at a time, whole at every moment."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, flat

from scholars.errors import InputError, Interrupted
from scholars.learning.algorithm import learn
from scholars.learning.callbacks import Callbacks, Position
from scholars.learning.lifelong import teach
from scholars.learning.next_task import settings_of
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings
from scholars.storage import files
from scholars.tasks.images import Images
from scholars.tasks.skipped import Skipped
from scholars.tasks.task import Task

CHANGES = flat(TINY)


def same(a: Scholar, b: Scholar) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.solver.state_dict().values(), b.solver.state_dict().values(), strict=True)
    )


def _die(folder: Path) -> None:
    raise KeyboardInterrupt


def noting(notes: list[str]) -> Callable[[Position, str], None]:
    return lambda position, note: notes.append(note)


@pytest.fixture
def home(tmp_path: Path, one: Scholar) -> Path:
    one.save(tmp_path / "home")
    return tmp_path / "home"


def test_a_scholar_is_made_and_taught_again(tmp_path: Path, low: Task, high: Task, two: Scholar) -> None:
    folder = tmp_path / "my scholar"
    first = teach(folder, low, changes=CHANGES)
    second = teach(folder, high)
    assert same(second, two)
    loaded = Scholar.load(folder)
    assert same(loaded, second)
    assert [record.name for record in loaded.lineage] == ["digits", "digits"]
    assert loaded.lineage[0].audit == first.lineage[0].audit
    assert loaded.lineage[0].audit is not None
    assert {path.name for path in tmp_path.iterdir()} <= {"my scholar", ".my scholar.lock"}


def test_settings_are_those_of_the_last_task_unless_changed(home: Path, high: Task) -> None:
    taught = teach(home, high, changes={"solver.steps": 3, "compute.precision": "32-true"})
    assert taught.settings.image_solver.steps == 3
    assert taught.settings.replay.bank == 600
    again = settings_of(home, None, {})
    assert again
    assert again.image_solver.steps == 3
    assert again.compute == ComputeSettings(), "the machine that it is taught on may be another one"


def test_the_scholar_of_before_can_be_kept(home: Path, high: Task, one: Scholar) -> None:
    teach(home, high, changes={"solver.steps": 3}, keep=True)
    assert same(Scholar.load(home.with_name("home.gen-1")), one)
    assert Scholar.load(home).generation == 2


def test_a_new_lineage_starts_from_a_copy(home: Path, high: Task, one: Scholar) -> None:
    teach(home.with_name("other"), high, origin=home, changes={"solver.steps": 3})
    assert Scholar.load(home.with_name("other")).generation == 2
    assert same(Scholar.load(home), one)
    with pytest.raises(InputError, match="there already"):
        teach(home, high, origin=home.with_name("other"))


def test_a_new_lineage_that_was_learned_when_it_was_killed(
    home: Path, low: Task, high: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had taken its place, and its work was not cleared away yet."""
    fresh = home.with_name("fresh")

    def teach_it(task: Task) -> Scholar:
        return teach(fresh, task, origin=home, changes={"solver.steps": 3})

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_folder", _die)
        with pytest.raises(KeyboardInterrupt):
            teach_it(high)
    learned = Scholar.load(fresh)
    with pytest.raises(InputError, match="there already"):
        teach_it(low)
    assert same(teach_it(high), learned)
    assert Scholar.load(fresh).generation == 2
    assert not list(home.parent.glob(".fresh.learning*"))
    with pytest.raises(InputError, match="there already"):
        teach_it(high)


def test_nothing_is_left_of_a_keeping_that_was_killed(home: Path, high: Task) -> None:
    left = home.with_name(".home.gen-1.a1b2c3d4.tmp")
    left.mkdir()
    teach(home, high, changes={"solver.steps": 3}, keep=True)
    assert not left.exists()


@pytest.mark.parametrize("stop_at", [5, 40, 75])
def test_interrupted_teaching_goes_on_bit_for_bit(home: Path, high: Task, two: Scholar, stop_at: int) -> None:
    asked = iter(range(10_000))
    with pytest.raises(Interrupted):
        teach(home, high, callbacks=Callbacks(stopping=lambda: next(asked) >= stop_at))
    assert Scholar.load(home).generation == 1
    assert same(teach(home, high), two)
    assert not home.with_name(".home.learning").exists()


def test_what_the_audit_finds_is_kept_and_noted(home: Path, high: Task) -> None:
    notes: list[str] = []
    audit = teach(home, high, callbacks=Callbacks(on_note=noting(notes))).lineage[-1].audit
    assert audit is not None
    assert audit.warnings, "a generator of a dozen steps dreams badly"
    assert {f"warning: {warning}" for warning in audit.warnings} <= set(notes)
    assert Scholar.load(home).lineage[-1].audit == audit


def test_what_becomes_of_unfinished_work_is_said(home: Path, high: Task) -> None:
    notes: list[str] = []

    def interrupted() -> None:
        asked = iter(range(10_000))
        with pytest.raises(Interrupted):
            teach(home, high, callbacks=Callbacks(on_note=noting(notes), stopping=lambda: next(asked) >= 40))

    interrupted()
    assert not any("unfinished" in note for note in notes)
    interrupted()
    assert notes[-1] == "resuming unfinished work: what is done is not done again"
    teach(home, high, changes={"solver.steps": 3}, callbacks=Callbacks(on_note=noting(notes)))
    assert any("of other data, settings or seed, is removed" in note for note in notes)


def test_unfinished_work_of_another_kind_is_not_gone_on_with(home: Path, high: Task, one: Scholar) -> None:
    asked = iter(range(10_000))
    with pytest.raises(Interrupted):
        teach(home, high, callbacks=Callbacks(stopping=lambda: next(asked) >= 40))
    other = teach(home, high, changes={"solver.rate": 1e-3})
    assert same(other, learn(high, one, settings=other.settings))


def test_a_command_that_is_refused_leaves_unfinished_work_alone(home: Path, high: Task, two: Scholar) -> None:
    asked = iter(range(10_000))
    with pytest.raises(Interrupted):
        teach(home, high, callbacks=Callbacks(stopping=lambda: next(asked) >= 40))
    before = {path: path.read_bytes() for path in home.with_name(".home.learning").rglob("*.safetensors")}
    with pytest.raises(InputError, match="image shape is fixed"):
        teach(home, high, changes={"image.size": 20})
    assert before
    assert {path: path.read_bytes() for path in home.with_name(".home.learning").rglob("*.safetensors")} == before
    assert same(teach(home, high), two)


def test_two_learners_are_refused_and_a_dead_one_does_not_matter(home: Path, high: Task) -> None:
    code = f"""
from filelock import FileLock
import sys, time
with FileLock({str(home.with_name(".home.lock"))!r}):
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process is teaching"):
        teach(home, high)
    holder.kill()
    holder.wait()
    assert teach(home, high, changes={"solver.steps": 3}).generation == 2


def test_what_is_odd_is_said(home: Path, low: Task) -> None:
    notes: list[str] = []
    images = Images(np.full((8, 1, 16, 16), 7, np.uint8), np.arange(8) % 2)
    odd = Task("digits", ("Zebra", "zebra "), images, images)
    teach(home, odd, changes={"solver.steps": 3}, callbacks=Callbacks(on_note=noting(notes)))
    assert any("was learned before" in note for note in notes)
    assert any("differ only in case, spaces or Unicode" in note for note in notes)
    assert sum("one and the same colour" in note for note in notes) == 2


def test_what_is_left_out_is_said_before_anything_is_learned(home: Path, high: Task) -> None:
    notes: list[str] = []
    seen: list[int] = []
    task = replace(
        high, skipped=(Skipped("a.mp4", "videos"), Skipped("b.mp4", "videos")), notes=("val is the test part",)
    )
    callbacks = Callbacks(on_note=noting(notes), on_plan=noting(notes), on_tick=lambda *_: seen.append(len(notes)))
    teach(home, task, changes={"solver.steps": 3}, callbacks=callbacks)
    assert notes[0] == "digits: 716 images to train on, 180 to test; the test part was given"
    assert re.fullmatch(r"5 new classes \(train \+ test\): 5 \d+ \+ \d+, .*", notes[1])
    assert notes[2] == "budget: normal: 3 steps of the solver, 12 of the generator"
    assert re.fullmatch(r"this takes about \d+ seconds", notes[3])
    assert notes[4:6] == ["val is the test part", "left out 2 files: 2 .mp4 (videos)"]
    assert min(seen) >= 6


def test_what_cannot_be_learned_leaves_the_scholar_as_it_is(home: Path, high: Task, one: Scholar) -> None:
    with pytest.raises(InputError, match="image shape is fixed"):
        teach(home, high, changes={"image.size": 20})
    assert not home.with_name(".home.learning").exists()
    (home.with_name("junk")).mkdir()
    (home.with_name("junk") / "file").write_text("x")
    with pytest.raises(InputError, match="is not a scholar"):
        teach(home.with_name("junk"), high)
    assert same(Scholar.load(home), one)


@pytest.mark.parametrize("way", [".", "..", "sub/.."])
def test_who_is_inside_is_sent_out(way: str, home: Path, high: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "sub").mkdir()
    monkeypatch.chdir(home / "sub" if way == ".." else home)
    with pytest.raises(InputError, match=f"go out of it, to {re.escape(str(home.parent))}, and name it home"):
        teach(way, high)
    assert not list(home.parent.glob(".*learning"))
