"""`scholars learn --private`: what it says, what it keeps, what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import scholars
from photographs import QUICK_WORDS, photo_folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, and a scholar that has learned them privately, and been tested on others."""
    home = tmp_path_factory.mktemp("home")
    photo_folder(home / "june", ("disc", "box"), each=40)
    photo_folder(home / "public", ("disc", "box"), each=2, first=900)
    words = ["learn", "s", "june", "--private", "40", "--delta", "1e-4", "--test", "public", *QUICK_WORDS]
    done = scholars(*words, cwd=home)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "june: private, epsilon 40, delta 0.0001 for one photo; 8 public images to test" in said
    assert "nothing of the photos is kept but noisy sums" in said
    assert "privacy: epsilon 40, delta 0.0001." in " ".join(done.stdout.split())
    return home


def test_the_account_is_shown(home: Path) -> None:
    known = json.loads(scholars("inspect", "s", "--json", cwd=home).stdout)
    assert known["privacy"]["epsilon"] == pytest.approx(40, rel=1e-3)
    assert known["privacy"]["delta"] == 1e-4
    (record,) = known["lineage"]
    assert record["private"] and record["accuracy"] is not None
    shown = " ".join(scholars("inspect", "s", cwd=home).stdout.split())
    assert "privacy: epsilon 40, delta 0.0001. Whether any one photo was learned changes the odds" in shown
    assert scholars("report", "s", cwd=home).returncode == 0
    assert "Whether any one photo was learned" in (home / "s.html").read_text(encoding="utf-8")


def test_what_it_learned_is_not_told_by_scoring(home: Path) -> None:
    evaluated = scholars("evaluate", "s", "june", "--json", cwd=home)
    assert evaluated.returncode == 0, evaluated.stderr
    shutil.copytree(home / "june" / "train", home / "flat")
    evaluated = scholars("evaluate", "s", "flat", cwd=home)
    assert "it is not known whether this scholar learned some of them, as it is private" in " ".join(
        evaluated.stderr.split()
    )


def test_equal_commands_make_other_scholars_but_with_an_insecure_seed(home: Path) -> None:
    for name, words in (("a", []), ("b", []), ("c", ["--insecure-seed", "5"]), ("d", ["--insecure-seed", "5"])):
        done = scholars("learn", name, "june", "--private", "40", *words, *QUICK_WORDS, cwd=home)
        assert done.returncode == 0, done.stderr
        assert ("this scholar is not private" in " ".join(done.stderr.split())) == bool(words)
    sums = {}
    for name in "abcd":
        sums[name] = json.loads((home / name / "scholar.json").read_text(encoding="utf-8"))["sha256"][
            "generator.safetensors"
        ]
    assert sums["a"] != sums["b"]
    assert sums["c"] == sums["d"]
    assert json.loads(scholars("inspect", "c", "--json", cwd=home).stdout)["privacy"] is None
    assert "privacy: not private" in " ".join(scholars("inspect", "c", cwd=home).stdout.split())


def test_a_dry_run_tells_nothing_of_the_photos(home: Path) -> None:
    planned = [
        scholars("learn", "new", source, "--private", "1", "--name", "x", "--dry-run", cwd=home).stdout
        for source in ("june", "public")
    ]
    assert planned[0] == planned[1]
    assert not (home / "new").exists()


REFUSED = {
    "epsilon 0": (["new", "june", "--private", "0"], "epsilon would take noise without end"),
    "epsilon 1e-12": (["new", "june", "--private", "1e-12", "--delta", "1e-12"], "nothing would be left of any photos"),
    "epsilon 51": (["new", "june", "--private", "51"], "epsilon is no privacy"),
    "delta 0": (["new", "june", "--private", "1", "--delta", "0"], "--delta 0: it is above 0"),
    "delta 0.5": (["new", "june", "--private", "1", "--delta", "0.5"], "at most 0.01"),
    "group 0": (["new", "june", "--private", "1", "--group", "0"], "group"),
    "delta alone": (["new", "june", "--delta", "1e-6"], "--delta is of a private task: add --private EPSILON"),
    "pixels": (["new", "june", "--private", "1", "--backbone", "none"], "this one is of pixels"),
    "refit": (["new", "june", "--private", "1", "--refit"], "--refit learns images that were held out"),
    "cache": (["new", "june", "--private", "1", "--keep-cache"], "--keep-cache keeps features of the photos"),
    "minutes": (["new", "june", "--private", "1", "--minutes", "1"], "set --budget instead"),
    "mixing": (["s", "june"], "--accept-unprotected learns it all the same"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_with_one_message(case: str, home: Path) -> None:
    words, message = REFUSED[case]
    done = scholars("learn", *words, cwd=home)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (home / "new").exists()
    assert not [path for path in home.iterdir() if path.name.startswith(".new.") and path.is_dir()]


def test_no_copy_of_a_photo_is_left_where_pixels_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOLARS_CACHE", str(home / "cache"))
    done = scholars("learn", "new", "june", "--private", "1", "--backbone", "none", cwd=home)
    assert done.returncode == 2
    assert not (home / "cache").exists() or not [path for path in (home / "cache").rglob("*") if path.is_file()]


def test_unfinished_work_that_is_not_private_is_left(home: Path) -> None:
    """Unfinished work of a private task holds noisy values only: no other may stay beside it."""
    done = scholars("learn", "half", "june", *QUICK_WORDS, "--dry-run", cwd=home)
    assert done.returncode == 0
    from scholars.storage.scholar_folder import work_folder

    work = work_folder(home / "half")
    work.mkdir()
    (work / "learning.json").write_text('{"task": "x"}', encoding="utf-8")
    refused = scholars("learn", "half", "june", "--private", "1", *QUICK_WORDS, cwd=home)
    assert refused.returncode == 2
    assert "unfinished work that is not private" in " ".join(refused.stderr.split())
    assert work.is_dir()
    shutil.rmtree(work)
