"""Tasks from CSV files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scholars.errors import InputError
from scholars.tasks.csv_table import name_file
from scholars.tasks.open import open_task
from scholars.tasks.skipped import Skipped

from .image_folders import levels, put


def table(folder: Path, lines: list[str], encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pets.csv"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def picture(folder: Path, name: str, level: int) -> str:
    put(folder / name, level)
    return name


def test_a_part_of_each_class_is_held_out(tmp_path: Path) -> None:
    rows = [f"{picture(tmp_path, f'my photos/Zoë {level}.png', level)},{level % 3 + 8}" for level in range(30)]
    task = open_task(table(tmp_path, ["path,label", *rows], encoding="utf-8-sig"))
    assert (task.name, task.classes) == ("pets", ("8", "9", "10"))
    assert sorted(levels(task, "train") + levels(task, "test")) == [(n, str(n % 3 + 8)) for n in range(30)]
    assert {name for _, name in levels(task, "test")} == {"8", "9", "10"}


def test_a_column_says_what_is_for_the_test(tmp_path: Path) -> None:
    lines = ["label,split,note,path"]
    for level, (label, split) in enumerate([("cat", "test"), ("dog", "train"), ("cat", "train"), ("dog", "test")]):
        lines.append(f'{label},{split},"a, b",{picture(tmp_path, f"{level}.png", level)}')
    task = open_task(table(tmp_path, lines))
    assert levels(task, "train") == [(1, "dog"), (2, "cat")]
    assert levels(task, "test") == [(0, "cat"), (3, "dog")]
    assert levels(open_task(tmp_path / "pets.csv", classes=("dog",)), "test") == [(3, "dog")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([""], "has no column path and no label"),
        (["path,name", "0.png,a"], r"no column label \(its first line has: path, name\)"),
        (["path,label"], "no line after its header"),
        (["path,label", "0.png,"], "no line has a label"),
        (["path,label", "0.png,a", ",a"], "line 3: has no path"),
        (["path,label", "../outside.png,a"], "line 2: ../outside.png leaves the folder"),
        (["path,label", "/etc/passwd,a"], "line 2: /etc/passwd leaves the folder"),
        (["path,label", "0.png,a", "1.png,a", "gone.png,a"], "gone.png: is no file"),
        (["path,label,split", "0.png,a,train", "1.png,a,tset"], "line 3: split is 'tset'"),
        (
            ["path,label,split", "0.png,a,train", "1.png,a,train"],
            "split holds train; every line needs train or test",
        ),
        (["path,label,split", "0.png,a,train", "1.png,a,"], "split holds nothing and train; every line needs"),
        (["path,label", "0.png,a", '"1.png,a'], "cannot be read as CSV"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, lines: list[str], said: str) -> None:
    for level in range(2):
        picture(tmp_path / "home", f"{level}.png", level)
    picture(tmp_path, "outside.png", 9)
    with pytest.raises(InputError, match=said):
        open_task(table(tmp_path / "home", lines))


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "link.png").symlink_to(tmp_path / picture(tmp_path, "outside.png", 9))
    with pytest.raises(InputError, match="leaves the folder"):
        open_task(table(tmp_path / "home", ["path,label", "link.png,a"]))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"path,label\n\x81\x8d,a\n")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        open_task(path)


@pytest.mark.parametrize(
    ("encoding", "delimiter", "noted"),
    [
        ("utf-8-sig", ";", ""),
        ("utf-8", "\t", ""),
        ("utf-16", "\t", ""),
        ("cp1252", ";", "pets.csv is not UTF-8, and was read as cp1252: check the letters with accents"),
    ],
)
def test_tables_as_spreadsheets_on_windows_write_them(
    tmp_path: Path, encoding: str, delimiter: str, noted: str
) -> None:
    """Other names of columns, backslashes, parts of other names, and a class with an accent."""
    lines = [delimiter.join(("FileName", "Class", "Set"))]
    rows = [("Kätzchen", "Training"), ("dog", "training"), ("dog", "TEST"), ("dog", "val")]
    for level, (label, part) in enumerate(rows):
        picture(tmp_path, f"photos/{level}.png", level)
        lines.append(delimiter.join((f"photos\\{level}.png", label, part)))
    task = open_task(table(tmp_path, lines, encoding))
    assert task.classes == ("dog", "Kätzchen")
    assert sorted(levels(task, "train")) == [(0, "Kätzchen"), (1, "dog")]
    assert levels(task, "test") == [(2, "dog")]
    assert task.notes == ((noted,) if noted else ())
    (left,) = task.skipped
    assert left.reason == "of the validation part, beside train and test"


def test_validation_is_the_test_part_where_there_is_no_other(tmp_path: Path) -> None:
    lines = ["path,label,split"]
    for level, part in enumerate(["train", "train", "valid"]):
        lines.append(f"{picture(tmp_path, f'{level}.png', level)},a,{part}")
    task = open_task(table(tmp_path, lines))
    assert levels(task, "test") == [(2, "a")]
    assert task.notes == ("validation is the test part: there is no other",)


def test_backslashes_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    picture(tmp_path, "outside.png", 9)
    with pytest.raises(InputError, match="leaves the folder"):
        open_task(table(tmp_path / "home", ["path,label", "..\\outside.png,a"]))


def test_lines_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    """Also where a column says what is for the test: of an image that nobody labelled it need not say so."""
    rows = [f"{picture(tmp_path, f'{level}.png', level)},{'ab'[level % 2] if level < 4 else ' '}" for level in range(7)]
    task = open_task(table(tmp_path, ["path,label", *rows]))
    assert (task.classes, len(task.train) + len(task.test)) == (("a", "b"), 4)
    assert task.skipped == tuple(Skipped(f"{level}.png", "no label") for level in (4, 5, 6))
    task = open_task(table(tmp_path, ["path,label,split", "0.png,a,train", "1.png,a,test", "2.png,,"]))
    assert (levels(task, "train"), levels(task, "test"), len(task.skipped)) == ([(0, "a")], [(1, "a")], 1)


def test_files_are_named_so_that_they_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (tmp_path / "link").symlink_to(home)
    for name in ("a.png", "below/b.png", "-c.png"):
        picture(home, name, 1)
    monkeypatch.chdir(home)
    for path, file, expected in (
        (home / "t.csv", home / "below" / "b.png", "below/b.png"),
        (tmp_path / "t.csv", home / "a.png", "home/a.png"),
        (Path("t.csv"), Path("a.png"), "a.png"),
        (tmp_path / "link" / "t.csv", home / "a.png", "a.png"),
        (home / "t.csv", tmp_path / "link" / "a.png", "a.png"),
        (home / "t.csv", home / "-c.png", "./-c.png"),
    ):
        assert name_file(path, file) == expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../outside.png", "is outside of the folder"),
        ("link.png", "is outside"),
        (" a.png", "begins or ends with a space"),
    ],
)
def test_files_that_would_not_be_found_are_refused(tmp_path: Path, name: str, said: str) -> None:
    picture(tmp_path, "outside.png", 1)
    picture(tmp_path / "home", " a.png", 1)
    (tmp_path / "home" / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(InputError, match=said):
        name_file(tmp_path / "home" / "t.csv", tmp_path / "home" / name)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not valid text"):
        name_file(tmp_path / "t.csv", tmp_path / "a\udcff.png")


def test_images_in_an_archive_beside_the_table_are_read(tmp_path: Path) -> None:
    """As `scholars review photos.zip --out answers.csv` writes them."""
    for level in range(4):
        picture(tmp_path / "photos", f"{level}.png", level)
    shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "photos")
    shutil.rmtree(tmp_path / "photos")
    lines = ["sep=;", "path;label", *(f"photos.zip/{level}.png;{'ab'[level % 2]}" for level in range(4))]
    task = open_task(table(tmp_path, [*lines, lines[-1]]))
    assert sorted(levels(task, "train")) == [(0, "a"), (1, "b"), (2, "a"), (3, "b")]
    assert task.notes[0] == "lines that repeat another one are not counted: 1"
