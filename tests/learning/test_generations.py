"""Going back and on again: whatever was once kept, or is in use, can be returned to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scholars.errors import InputError
from scholars.learning.algebra_folders import rename_class
from scholars.learning.generations import keep_generation, kept_generations
from scholars.learning.lifelong import restore_generation, teach
from scholars.scholar import Scholar
from scholars.tasks.task import Task

QUICK = {"solver.steps": 3, "audit.dreams": 0}


@pytest.fixture
def home(tmp_path: Path, one: Scholar) -> Path:
    one.save(tmp_path / "home")
    return tmp_path / "home"


def keys(folder: Path) -> list[tuple[str, bool]]:
    return [(kept.key, kept.ancestor) for kept in kept_generations(folder)]


def tasks(folder: Path) -> list[str]:
    return [record.name for record in Scholar.load(folder).lineage]


def record(**about: Any) -> dict[str, Any]:
    """What a record of a lineage says, made at the second ``at``."""
    second = about.pop("at")
    return {"kind": "learn", "parents": (), "learned_at": f"2026-01-01T00:00:0{second}+00:00", "seed": 0, **about}


def save(home: Path, *records: dict[str, Any]) -> None:
    """Write the scholar in ``home`` with another lineage."""
    scholar = Scholar.load(home)
    first = scholar.lineage[0]
    no_images = {"classes": (), "train_counts": (), "test_counts": ()}
    lineage = [first.model_copy(update=each | (no_images if place else {})) for place, each in enumerate(records)]
    replace(scholar, lineage=tuple(lineage)).save(home)


def test_two_second_generations_are_both_kept(home: Path, high: Task) -> None:
    teach(home, replace(high, name="first try"), changes=QUICK, keep=True)
    assert keys(home) == [("1", True)]
    restore_generation(home, "1")
    assert keys(home) == [("2", False)], "the one in use is no other one"
    teach(home, replace(high, name="second try"), changes=QUICK, keep=True)
    assert keys(home) == [("1", True), ("2", False)]
    restore_generation(home, "2")
    assert tasks(home) == ["digits", "first try"]
    assert keys(home) == [("1", True), ("2-2", False)]
    restore_generation(home, "2-2")
    assert tasks(home) == ["digits", "second try"]
    assert keys(home) == [("1", True), ("2", False)]
    assert len([path for path in home.parent.iterdir() if ".gen-" in path.name]) == 3, "each once"


def test_what_lies_at_its_place_is_left_alone(home: Path) -> None:
    stranger = home.with_name("home.gen-1")
    stranger.mkdir()
    (stranger / "file").write_text("mine")
    keep_generation(home)
    assert (stranger / "file").read_text() == "mine"
    assert Scholar.load(home.with_name("home.gen-1-2")).generation == 1


def test_only_scholars_called_like_generations_are_found(home: Path, two: Scholar) -> None:
    for name in ("home.gen-x", "home.gen-2-", "home.gen-0", "home.gen-²", "other.gen-2", "home.gen-02"):
        two.save(home.with_name(name))
    (home.with_name("home.gen-3")).mkdir()
    (home.with_name("home.gen-4")).mkdir()
    (home.with_name("home.gen-4") / "scholar.json").write_text('{"lineage": [1]}')
    assert kept_generations(home) == []
    two.save(home.with_name("home.gen-2"))
    assert keys(home) == [("2", False)]


@pytest.mark.parametrize("key", ["9", "", "..", "../home", "1/../../home", "x", "2-"])
def test_no_key_leads_anywhere_else(home: Path, two: Scholar, key: str) -> None:
    two.save(home.with_name("home.gen-2"))
    before = sorted(home.parent.rglob("*"))
    with pytest.raises(InputError, match=r"no generation .* is kept"):
        restore_generation(home, key)
    assert [path for path in sorted(home.parent.rglob("*")) if not path.name.endswith(".lock")] == before


def test_a_damaged_generation_is_not_gone_back_to(home: Path, one: Scholar, two: Scholar) -> None:
    two.save(home.with_name("home.gen-2"))
    (home.with_name("home.gen-2") / "solver.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="altered or damaged"):
        restore_generation(home, "2")
    assert Scholar.load(home).generation == one.generation


def test_the_generations_of_where_one_is(home: Path, high: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    teach(home, high, changes=QUICK, keep=True)
    monkeypatch.chdir(home)
    assert keys(Path()) == [("1", True)]
    with pytest.raises(InputError, match="go out of it"):
        restore_generation(Path(), "1")


def test_a_renamed_scholar_is_another_one_though_its_weights_are_the_same(home: Path) -> None:
    rename_class(home, "3", "three", keep=True)
    (kept,) = kept_generations(home)
    assert (kept.key, kept.place) == ("1", 0)
    rename_class(home, "three", "drei", keep=True)
    assert [(kept.key, kept.place) for kept in kept_generations(home)] == [("1", 0), ("1-2", 0)]
    assert restore_generation(home, "1").classes == tuple("01234")
    assert keys(home) == [("1-2", True), ("1-3", True)]


def test_where_in_a_lineage_of_several_pasts_a_generation_is(home: Path) -> None:
    """The other scholar's records lie between its own, and its second task is called otherwise since."""
    save(home, record(name="a", at=1), record(name="b", at=3, parents=(0,)))
    keep_generation(home)
    save(
        home,
        record(name="a", at=1),
        record(name="b", at=2),
        record(name="b-2", at=3, parents=(0,)),
        record(name="merged 2 scholars", at=4, kind="merge", parents=(1, 2)),
    )
    (kept,) = kept_generations(home)
    assert (kept.key, kept.generation, kept.kind, kept.name, kept.place) == ("2", 2, "learn", "b", 2)
    save(home, record(name="a", at=1), record(name="b", at=9, parents=(0,)))
    (kept,) = kept_generations(home)
    assert (kept.place, kept.ancestor) == (None, False)
