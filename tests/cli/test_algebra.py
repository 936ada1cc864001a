"""`merge`, `forget`, `rename` and `distil` as people type them: exit codes, messages, and what is there then."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Done, scholars
from conftest import with_changes
from even_handed import even_handed, make_even_handed
from photographs import own_features, photo_folder

from scholars.errors import Interrupted
from scholars.learning import algebra_folders
from scholars.learning.algorithm import learn
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.tasks.task import Task

FEW = {"solver__steps": 8, "generator__steps": 6, "replay__bank": 200, "audit__dreams": 60}


@pytest.fixture(scope="module")
def both(low: Task, high: Task, tiny: Settings) -> tuple[Scholar, Scholar]:
    settings = with_changes(tiny, **FEW)
    return even_handed(learn(low, settings=settings)), even_handed(learn(high, settings=settings))


@pytest.fixture
def home(tmp_path: Path, both: tuple[Scholar, Scholar]) -> Path:
    for name, scholar in zip(("low", "high"), both, strict=True):
        scholar.save(tmp_path / name)
    return tmp_path


def said(done: Done) -> str:
    """What a command says, in one line."""
    return " ".join(done.stderr.split())


def refused(done: Done) -> str:
    """The one message of a command that was refused."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return said(done)


def known(folder: Path) -> list[str]:
    found: list[str] = json.loads((folder / "scholar.json").read_text())["classes"]
    return found


def test_scholars_are_merged(home: Path) -> None:
    done = scholars("merge", "low", "high", "--out", "new", "--seed", "3", "--weights", "1,2.5", cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "new: generation 2 knows 10 classes of 2 tasks\n"
    assert "bank, " in done.stderr
    assert known(home / "new") == list("0123456789")
    assert Scholar.load(home / "new").lineage[-1].seed == 3
    # As any other scholar it is inspected, evaluated, reported and exported, and learns.
    shown = scholars("inspect", "new", cwd=home)
    assert shown.returncode == 0
    assert "generation 2, 10 classes" in shown.stdout
    lineage = json.loads(scholars("inspect", "new", "--json", cwd=home).stdout)["lineage"]
    assert [(record["kind"], record["parents"]) for record in lineage] == [
        ("learn", []),
        ("learn", []),
        ("merge", [0, 1]),
    ]
    assert scholars("evaluate", "new", "digits", cwd=home).returncode == 0
    reported = scholars("report", "new", "--test", "digits", cwd=home)
    assert reported.returncode == 0, reported.stderr
    assert "A scholar that learned digits, digits-2, and knows 10 classes" in (home / "new.html").read_text()
    assert scholars("dream", "new", "-n", "4", "--out", "dreams.png", cwd=home).returncode == 0
    assert scholars("export", "new", "new.onnx", cwd=home).returncode == 0
    taught = scholars("learn", "other", "digits", "--classes", "0,1", "--from", "new", cwd=home)
    assert taught.returncode == 0, taught.stderr
    assert Scholar.load(home / "other").generation == 3


def test_settings_of_the_merged_one(home: Path) -> None:
    words = ["--set", "image.size=8", "--set", "solver.steps=2", "--generator", "vae", "--set", "generator.steps=2"]
    done = scholars("merge", "high", "low", "--out", "new", *words, cwd=home)
    assert done.returncode == 0, done.stderr
    made = Scholar.load(home / "new")
    assert (made.settings.image.size, made.settings.generator.kind, made.settings.image_solver.steps) == (8, "vae", 2)


def test_a_class_is_forgotten(home: Path) -> None:
    done = scholars("forget", "low", "3", "4", "--keep", cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "low: generation 2 knows 3 classes\n"
    assert known(home / "low") == ["0", "1", "2"]
    assert "approximate: it was taught by dreams of the other classes" in said(done)
    assert "still there:" in said(done)
    assert "generation 1, knows 3, 4" in said(done)
    assert known(home / "low.gen-1") == list("01234")
    make_even_handed(home / "low")
    done = scholars("forget", "low", "2", "--purge", cwd=home)
    assert done.returncode == 0, done.stderr
    assert "removed:" in said(done)
    assert not (home / "low.gen-1").exists()
    # The class is learned again, as any other.
    again = scholars("learn", "low", "digits", "--classes", "2,3", cwd=home)
    assert again.returncode == 0, again.stderr
    assert known(home / "low") == ["0", "1", "2", "3"] or known(home / "low") == ["0", "1", "3", "2"]


def test_a_class_is_renamed_and_joined(home: Path) -> None:
    done = scholars("rename", "low", "3", "three", cwd=home)
    assert (done.returncode, done.stdout) == (0, "low: generation 1 knows 5 classes\n")
    assert known(home / "low") == ["0", "1", "2", "three", "4"]
    done = scholars("rename", "low", "4", "three", "--keep", cwd=home)
    assert (done.returncode, done.stdout) == (0, "low: generation 2 knows 4 classes\n")
    assert known(home / "low") == ["0", "1", "2", "three"]
    assert known(home / "low.gen-1") == ["0", "1", "2", "three", "4"]


def test_a_scholar_is_distilled_and_both_are_measured(home: Path, low: Task) -> None:
    np.savez(
        home / "few.npz",
        x_train=low.train.images[:, 0],
        y_train=low.train.labels,
        x_test=low.test.images[:9, 0],
        y_test=low.test.labels[:9],
        class_names=np.array(low.classes),
    )
    words = ["--set", "solver.width=4", "--set", "image.size=8", "--test", "few.npz"]
    done = scholars("distil", "low", "--out", "small", *words, cwd=home)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "small: generation 2 knows 5 classes"
    assert second.startswith("few: ")
    assert second.endswith(" % after")
    assert " % before, " in second
    # A test that is not there is found out before the training.
    message = refused(scholars("distil", "low", "--out", "other", "--test", "nowhere", cwd=home))
    assert "nowhere" in message
    assert not (home / "other").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["merge", "low", "--out", "new"], "merge takes two scholars or more"),
        (["merge", "low", "low", "--out", "new"], "is named twice: merge takes each scholar once"),
        (["merge", "low", "high", "--out", "high"], "high is there already: choose a folder that is not"),
        (["merge", "low", "nobody", "--out", "new"], "nobody is not a scholar"),
        (["merge", "low", "high", "--out", "new", "--weights", "1"], "give one positive number for each of the 2"),
        (["merge", "low", "high", "--out", "new", "--weights", "1,x"], "--weights 1,x: give a number for each scholar"),
        (["merge", "low", "high", "--out", "new", "--weights", "1,-1"], "give one positive number"),
        (["merge", "low", "high", "--out", "new", "--set", "solver.step=1"], "solver.step"),
        (["merge", "low", "high", "--out", "new", "--generator", "flaw"], "flow"),
        (["merge", "low", "high"], "--out"),
        (["forget", "low", "7"], "this scholar knows no class '7'"),
        (["forget", "low"], "CLASS"),
        (["forget", "low", "0", "1", "2", "3", "4"], "0 would be left: remove its folder instead"),
        (["forget", "low", "3", "--keep", "--purge"], "leave one of them out"),
        (["forget", "nobody", "3"], "nobody is not a scholar"),
        (["rename", "low", "x", "y"], "this scholar knows no class 'x'"),
        (["rename", "low", "3", "3"], "the class is called '3' already"),
        (["rename", "low", "3", ""], "is no name for a class"),
        (["distil", "low", "--out", "low"], "low is there already"),
        (["distil", "nobody", "--out", "new"], "nobody is not a scholar"),
    ],
)
def test_what_cannot_be_is_refused_in_one_message(home: Path, words: list[str], message: str) -> None:
    assert message in refused(scholars(*words, cwd=home))
    assert {path.name for path in home.iterdir() if path.suffix != ".lock"} == {"low", "high"}
    assert known(home / "low") == list("01234")


def test_the_nearest_class_is_named(home: Path) -> None:
    scholars("rename", "low", "3", "three", cwd=home)
    assert "Did you mean 'three'? Known: 0, 1, 2, three, 4." in refused(scholars("forget", "low", "tree", cwd=home))


@pytest.mark.parametrize(
    "change", [{"kind": "undo"}, {"parents": [5]}, {"train_counts": [1]}, {"kind": "forget"}], ids=str
)
def test_a_hostile_scholar_is_refused(home: Path, change: dict[str, object]) -> None:
    file = home / "low" / "scholar.json"
    document = json.loads(file.read_text())
    document["lineage"][0] |= change
    file.write_text(json.dumps(document))
    for words in (
        ["merge", "low", "high", "--out", "new"],
        ["forget", "low", "3"],
        ["rename", "low", "3", "three"],
        ["distil", "low", "--out", "new"],
        ["inspect", "low"],
    ):
        assert "scholar.json is not valid" in refused(scholars(*words, cwd=home))


def test_an_interrupted_command_says_how_it_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*words: object, **more: object) -> Scholar:
        raise Interrupted("stopped while dreaming")

    with monkeypatch.context() as patch:
        patch.setattr(algebra_folders, "merge", interrupted)
        done = scholars("merge", "low", "high", "--out", "new", cwd=home)
    assert done.returncode == 130
    assert "the same command resumes it" in said(done)
    assert scholars("merge", "low", "high", "--out", "new", cwd=home).returncode == 0


def test_photographs_are_forgotten_exactly_and_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features that are kept in the cache are named first, and removed when that is asked for."""
    cache = own_features(monkeypatch, tmp_path / "cache")
    photo_folder(tmp_path / "june", ("disc", "box"), 8)
    changes = ["backbone.size=64", "backbone.views=1", "solver.kind=lda", "ood.dreams=0"]
    learned = scholars("learn", "mine", "june", "--keep-cache", "--set", *changes, cwd=tmp_path)
    assert learned.returncode == 0, learned.stderr
    done = scholars("forget", "mine", "disc", "--keep", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "exact: the networks are those of a scholar that never learned it" in said(done)
    assert "features of disc in the cache" in said(done)
    assert "disc" not in (tmp_path / "mine" / "scholar.json").read_text()
    assert list((cache / "features").glob("*/about.json"))
    scholars("learn", "mine", "june", "--classes", "disc", cwd=tmp_path)
    done = scholars("forget", "mine", "disc", "--purge", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "removed:" in said(done)
    assert not list((cache / "features").glob("*/about.json"))
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".lock"} == {"cache", "june", "mine"}
    assert known(tmp_path / "mine") == ["box"]
