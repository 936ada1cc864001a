"""Going back and on again: whatever was once kept, or is in use, can be returned to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scholars.errors import InputError
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
