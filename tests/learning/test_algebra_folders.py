"""Scholars in folders that are merged or changed: whole at every moment, one process at a time, resumed bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import same_weights, tiny_generator, with_changes
from even_handed import even_handed, make_even_handed

from scholars.errors import InputError, Interrupted
from scholars.learning import algebra_folders
from scholars.learning.algebra_folders import distil_folder, forget_classes, merge_folders, rename_class
from scholars.learning.algorithm import learn
from scholars.learning.callbacks import Callbacks, Position
from scholars.learning.generations import kept_generations
from scholars.learning.lifelong import restore_generation, teach
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, Settings
from scholars.storage import files
from scholars.storage.work import exclusive
from scholars.tasks.task import Task

# As few steps as show that something was learned; a bank that takes two looks.
QUICK: dict[str, Any] = {"solver.steps": 8, "generator.steps": 6, "replay.bank": 300, "audit.dreams": 60}


@pytest.fixture(scope="module")
def quick(tiny: Settings) -> Settings:
    return with_changes(tiny, **{key.replace(".", "__"): value for key, value in QUICK.items()})


@pytest.fixture(scope="module")
def scholars(low: Task, high: Task, quick: Settings) -> tuple[Scholar, Scholar]:
    return even_handed(learn(low, settings=quick)), even_handed(learn(high, settings=quick))


@pytest.fixture
def home(tmp_path: Path, scholars: tuple[Scholar, Scholar]) -> Path:
    """A folder with the scholars `low` and `high`."""
    for name, scholar in zip(("low", "high"), scholars, strict=True):
        scholar.save(tmp_path / name)
    return tmp_path


def content(folder: Path) -> dict[str, str]:
    """All files below a folder, but for locks."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def noting(notes: list[str], stop_at: int = 10**9) -> Callbacks:
    """Callbacks that keep notes, and ask to stop at the n-th time that they are asked."""
    asked = iter(range(10**6))

    def note(position: Position, words: str) -> None:
        notes.append(words)

    return Callbacks(on_note=note, stopping=lambda: next(asked) >= stop_at)


Change = Callable[[Path, Callbacks], Scholar]
CHANGES: dict[str, Change] = {
    "merge": lambda home, callbacks: merge_folders(
        [home / "low", home / "high"], home / "new", callbacks=callbacks, save_every=0
    ),
    "forget": lambda home, callbacks: forget_classes(home / "low", ["3"], callbacks=callbacks, save_every=0),
    "join": lambda home, callbacks: rename_class(home / "low", "3", "4", callbacks=callbacks, save_every=0),
    "distil": lambda home, callbacks: distil_folder(
        home / "low", home / "new", changes={"image.size": 8}, callbacks=callbacks, save_every=0
    ),
}
PLACES = {"merge": "new", "forget": "low", "join": "low", "distil": "new"}
each_change = pytest.mark.parametrize("what", CHANGES)


def change(what: str, home: Path, callbacks: Callbacks | None = None) -> Scholar:
    return CHANGES[what](home, callbacks or Callbacks())


@each_change
def test_what_is_made_is_saved_and_audited_and_nothing_else_is_left(home: Path, what: str) -> None:
    before = content(home)
    notes: list[str] = []
    made = change(what, home, noting(notes))
    opened = Scholar.load(home / PLACES[what])
    assert same_weights(opened, made)
    assert opened.lineage == made.lineage
    audited = opened.lineage[-1].audit
    assert audited
    assert [entry.name for entry in audited.classes] == list(made.classes)
    assert [entry.accuracy for entry in audited.classes] == [None] * len(made.classes), "no real image was there"
    assert {f"warning: {warning}" for warning in audited.warnings} <= set(notes)
    changed = {name for name, digest in content(home).items() if before.get(name) != digest}
    assert {name.split("/")[0] for name in changed} == {PLACES[what]}
    assert {path.name for path in home.iterdir() if path.suffix != ".lock"} == {"low", "high", PLACES[what]}


@each_change
@pytest.mark.parametrize("stop_at", [0, 4, 12])
def test_interrupted_it_goes_on_bit_for_bit(
    home: Path, scholars: tuple[Scholar, Scholar], tmp_path: Path, what: str, stop_at: int
) -> None:
    before = content(home)
    with pytest.raises(Interrupted):
        change(what, home, noting([], stop_at))
    now, work = content(home), home / f".{PLACES[what]}.learning"
    assert {name: now.get(name) for name in before} == before, "nothing was changed yet"
    assert (work / "learning.json").is_file()
    assert list(work.glob("*.safetensors")) or stop_at < 12
    resumed = change(what, home)
    assert not work.exists()
    for name, scholar in zip(("low", "high"), scholars, strict=True):
        scholar.save(tmp_path / "fresh" / name)
    assert same_weights(change(what, tmp_path / "fresh"), resumed)


@each_change
def test_one_process_at_a_time(home: Path, what: str) -> None:
    before = content(home)
    with (
        exclusive(home / PLACES[what], "teaching"),
        pytest.raises(InputError, match=r"another process is changing .* just now: wait until it is done"),
    ):
        change(what, home)
    assert content(home) == before


@each_change
def test_what_was_done_when_the_process_died_is_not_done_again(
    home: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The new scholar had taken its place, and the work was not cleared away yet."""

    def die(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_folder", die)
        with pytest.raises(KeyboardInterrupt):
            change(what, home)
    before = content(home / PLACES[what])
    for name in ("merge", "forget", "rename", "distil"):
        monkeypatch.setattr(algebra_folders, name, lambda *words, **more: pytest.fail("it is learned again"))
    again = change(what, home)
    assert content(home / PLACES[what]) == before
    assert same_weights(again, Scholar.load(home / PLACES[what]))
    assert not (home / f".{PLACES[what]}.learning").exists()


def test_another_command_than_the_one_that_died_is_another(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_folder", die)
        with pytest.raises(KeyboardInterrupt):
            forget_classes(home / "low", ["3"])
    make_even_handed(home / "low")
    assert forget_classes(home / "low", ["4"]).classes == ("0", "1", "2")
    with pytest.raises(InputError, match="knows no class '4'"):
        forget_classes(home / "low", ["4"])


Refused = Callable[[Path], object]
REFUSED: dict[str, tuple[Refused, str]] = {
    "one twice": (lambda home: merge_folders([home / "low", home / "high", home / "low"], home / "new"), "named twice"),
    "a link": (lambda home: merge_folders([home / "low", home / "link"], home / "new"), "named twice"),
    "a copy": (lambda home: merge_folders([home / "low", home / "copy"], home / "new"), "are the same one"),
    "there already": (lambda home: merge_folders([home / "low", home / "high"], home / "high"), "is there already"),
    "a file": (lambda home: distil_folder(home / "low", home / "file"), "file is not a scholar"),
    "no scholar": (
        lambda home: merge_folders([home / "low", home / "nobody"], home / "new"),
        "nobody is not a scholar",
    ),
    "setting": (
        lambda home: merge_folders([home / "low", home / "high"], home / "new", changes={"solver.step": 3}),
        "solver.step",
    ),
    "bank": (
        lambda home: merge_folders([home / "low", home / "high"], home / "new", changes={"replay.bank": 2}),
        "replay.bank=1 cannot hold a dream of each class",
    ),
    "forget nobody's": (lambda home: forget_classes(home / "nobody", ["3"]), "nobody is not a scholar"),
    "forget unknown": (lambda home: forget_classes(home / "low", ["7"]), "knows no class '7'"),
    "forget all": (lambda home: forget_classes(home / "low", list("01234")), "0 would be left"),
    "keep and purge": (
        lambda home: forget_classes(home / "low", ["3"], keep=True, purge=True),
        "leave one of them out",
    ),
    "rename unknown": (lambda home: rename_class(home / "low", "x", "y"), "knows no class 'x'"),
    "rename to nothing": (lambda home: rename_class(home / "low", "1", ""), "is no name for a class"),
    "distil nobody": (lambda home: distil_folder(home / "nobody", home / "new"), "nobody is not a scholar"),
    "distil into features": (
        lambda home: distil_folder(home / "low", home / "new", changes={"backbone.size": 64}),
        "a scholar with a backbone has features",
    ),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_leaves_everything_as_it_was(home: Path, make: Refused, said: str) -> None:
    Scholar.load(home / "low").save(home / "copy")
    (home / "link").symlink_to(home / "low")
    (home / "file").write_text("mine")
    before = content(home)
    with pytest.raises(InputError, match=said):
        make(home)
    assert content(home) == before
    assert not list(home.glob(".*.learning"))


def test_a_failed_command_leaves_the_unfinished_work_of_another(home: Path) -> None:
    with pytest.raises(Interrupted):
        change("forget", home, noting([], 4))
    before = content(home)
    with pytest.raises(InputError, match="knows no class"):
        forget_classes(home / "low", ["x"])
    assert content(home) == before


def test_work_of_another_command_is_begun_anew(home: Path, scholars: tuple[Scholar, Scholar], tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        change("forget", home, noting([], 12))
    other = forget_classes(home / "low", ["1"])
    scholars[0].save(tmp_path / "fresh")
    assert same_weights(other, forget_classes(tmp_path / "fresh", ["1"]))


def test_unfinished_learning_of_a_task_is_removed_and_that_is_said(home: Path, high: Task) -> None:
    with pytest.raises(Interrupted):
        teach(home / "low", high, callbacks=noting([], 4))
    notes: list[str] = []
    change("forget", home, noting(notes))
    assert "warning: unfinished learning of a task was removed" in notes
    assert not (home / ".low.learning").exists()


def test_settings_and_seeds(home: Path, scholars: tuple[Scholar, Scholar]) -> None:
    changes = {**tiny_generator("vae"), "image.channels": 3, "replay.bank": 100}
    made = merge_folders([home / "high", home / "low"], home / "new", changes=changes, seed=3, weights=[1, 2])
    assert made.settings.generator.kind == "vae"
    assert made.settings.image.channels == 3
    assert made.settings.image_solver.steps == 8
    assert made.settings.compute == ComputeSettings()
    assert made.lineage[-1].seed == 3
    assert made.classes == ("5", "6", "7", "8", "9", "0", "1", "2", "3", "4")
    make_even_handed(home / "new")
    assert forget_classes(home / "new", ["5"]).lineage[-1].seed == 3
    make_even_handed(home / "new")
    assert forget_classes(home / "new", ["6"], seed=4).lineage[-1].seed == 4


def test_an_empty_folder_is_no_scholar_yet(home: Path) -> None:
    (home / "new").mkdir()
    change("merge", home)
    assert Scholar.load(home / "new").generation == 2
    made = distil_folder(home / "low", home / "further" / "inside")
    assert same_weights(Scholar.load(home / "further" / "inside"), made)


def test_the_scholar_of_before_can_be_kept(home: Path, scholars: tuple[Scholar, Scholar]) -> None:
    notes: list[str] = []
    left = forget_classes(home / "low", ["3"], keep=True, callbacks=noting(notes))
    assert same_weights(Scholar.load(home / "low.gen-1"), scholars[0])
    assert any("low.gen-1, generation 1, knows 3" in note and note.startswith("warning: still there") for note in notes)
    assert [(kept.key, kept.tasks) for kept in kept_generations(home / "low")] == [("1", ("digits",))]
    restore_generation(home / "low", "1")
    assert Scholar.load(home / "low").classes == scholars[0].classes
    assert same_weights(Scholar.load(home / "low.gen-2"), left)


def test_a_renamed_generation_is_another_one(home: Path) -> None:
    """Its weights are those of before."""
    renamed = rename_class(home / "low", "3", "three", keep=True)
    assert renamed.generation == 1
    assert [kept.key for kept in kept_generations(home / "low")] == ["1"]
    restore_generation(home / "low", "1")
    assert "3" in Scholar.load(home / "low").classes
    assert "three" in Scholar.load(home / "low.gen-1-2").classes


def test_without_a_generator_a_class_is_renamed_still(home: Path, low: Task, quick: Settings) -> None:
    learn(low, settings=quick, past=[]).save(home / "stored")
    assert "three" in rename_class(home / "stored", "3", "three").classes
    assert Scholar.load(home / "stored").generator is None
    assert not (home / ".stored.learning").exists()


def test_everything_that_holds_a_forgotten_class_is_named_and_can_be_removed(home: Path, high: Task) -> None:
    teach(home / "low", high, changes=QUICK, keep=True)
    notes: list[str] = []
    make_even_handed(home / "low")
    forget_classes(home / "low", ["7"], callbacks=noting(notes))
    assert not any("gen-1" in note for note in notes), "it never knew that class"
    make_even_handed(home / "low")
    forget_classes(home / "low", ["3"], callbacks=noting(notes))
    assert [note for note in notes if "gen-1" in note] == [
        f"warning: still there: {home / 'low.gen-1'}, generation 1, knows 3"
    ]
    assert any(note.startswith("approximate") for note in notes)
    notes.clear()
    make_even_handed(home / "low")
    forget_classes(home / "low", ["4"], purge=True, callbacks=noting(notes))
    assert f"removed: {home / 'low.gen-1'}, generation 1, knows 4" in notes
    assert kept_generations(home / "low") == []
    assert not (home / "low.gen-1").exists()


def test_generations_of_a_merged_scholar_are_kept_and_found(home: Path, high: Task, low: Task) -> None:
    change("merge", home)
    teach(home / "new", low, changes=QUICK, keep=True)
    make_even_handed(home / "new")
    forget_classes(home / "new", ["0"], keep=True)
    found = kept_generations(home / "new")
    assert [(kept.key, kept.tasks, kept.ancestor) for kept in found] == [
        ("2", ("digits", "digits-2"), True),
        ("3", ("digits", "digits-2", "digits"), True),
    ]
    restore_generation(home / "new", "2")
    assert Scholar.load(home / "new").generation == 2
    assert [kept.key for kept in kept_generations(home / "new")] == ["3", "4"]


def test_a_new_lineage_starts_from_what_was_merged_and_forgotten(home: Path, high: Task) -> None:
    change("merge", home)
    make_even_handed(home / "new")
    forget_classes(home / "new", ["0"])
    made = teach(home / "other", high, origin=home / "new", changes=QUICK)
    assert made.generation == 4
    assert made.lineage[-1].parents == (3,)
    assert [record.kind for record in made.lineage] == ["learn", "learn", "merge", "forget", "learn"]
