"""Image folders: how they are laid out, and what is said of those that are not right."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from scholars.errors import InputError, ScholarsWarning
from scholars.tasks.image_formats import image_suffixes
from scholars.tasks.open import open_task
from scholars.tasks.task import Task

from .image_folders import fill, levels, put


@pytest.mark.parametrize("names", [("Train", "Test"), ("TRAIN", "test")])
def test_parts_in_capitals(tmp_path: Path, names: tuple[str, str]) -> None:
    for place, name in enumerate(names):
        put(tmp_path / name / "cat" / "0.png", 10 * place)
        put(tmp_path / name / "dog" / "0.png", 10 * place + 1)
    task = open_task(tmp_path)
    assert task.classes == ("cat", "dog")
    assert levels(task, "train") == [(0, "cat"), (1, "dog")]
    assert levels(task, "test") == [(10, "cat"), (11, "dog")]


def test_a_link_makes_no_second_class(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "c").symlink_to(tmp_path / "a", target_is_directory=True)
    with pytest.raises(InputError, match="read already; remove the link"):
        open_task(tmp_path)


def test_one_name_is_one_class_however_its_accents_are_written(tmp_path: Path) -> None:
    """macOS writes e and an accent, others one character."""
    put(tmp_path / "one" / "Zoe\u0301" / "0.png", 90)
    put(tmp_path / "one" / "Zoe\u0301" / "1.png", 91)
    fill(tmp_path / "one")
    assert open_task(tmp_path / "one").classes == ("a", "b", "Zo\u00e9")
    assert open_task(tmp_path / "one", classes=("Zoe\u0301",)).classes == ("Zo\u00e9",)
    put(tmp_path / "one" / "Zo\u00e9" / "0.png", 7)
    with pytest.raises(InputError, match="two folders are of the class Zo\u00e9"):
        open_task(tmp_path / "one")


def test_names_that_a_terminal_would_obey_are_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    put(tmp_path / "c\x1b[31m" / "0.png")
    with pytest.raises(InputError, match="control character; rename it"):
        open_task(tmp_path)


def test_train_and_test(tmp_path: Path) -> None:
    for name, level in (("2", 20), ("10", 100), ("1", 10)):
        put(tmp_path / "shapes" / "train" / name / "a.png", level)
    put(tmp_path / "shapes" / "test" / "10" / "a.png", 101)
    task = open_task(tmp_path / "shapes")
    assert (task.name, task.classes) == ("shapes", ("1", "2", "10"))
    assert levels(task, "train") == [(10, "1"), (20, "2"), (100, "10")]
    assert levels(task, "test") == [(101, "10")]


def test_class_folders_alone(tmp_path: Path) -> None:
    task = open_task(fill(tmp_path, each=40))
    expected = [(level, "ab"[level >= 40]) for level in range(80)]
    assert sorted(levels(task, "train") + levels(task, "test")) == expected
    for name in "ab":
        assert 1 <= sum(of == name for _, of in levels(task, "test")) <= 20


def test_what_is_read_and_what_is_ignored(tmp_path: Path) -> None:
    fill(tmp_path)
    put(tmp_path / "a" / "deeper" / "still" / "0.PNG", 100)
    put(tmp_path / "a" / ".hidden.png", 200)
    put(tmp_path / "a" / ".cache" / "0.png", 201)
    put(tmp_path / ".git" / "0.png", 202)
    put(tmp_path / "preview.png", 203)
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    task = open_task(tmp_path)
    assert task.classes == ("a", "b")
    assert {level for part in ("train", "test") for level, _ in levels(task, part)} == {0, 1, 2, 3, 4, 5, 100}


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "empty": ((), "no folder with images"),
    "only other files": (("notes.txt",), "no folder with images"),
    "flat": (("0.png", "1.png"), "images, but not in a folder for their class"),
    "train without test": (("train/a/0.png", "train/a/1.png"), "'train' but none called 'test'"),
    "test without train": (("test/a/0.png", "b/0.png"), r"'test' but none called 'train' \(there is: b, test\)"),
    "flat train": (("train/0.png", "test/a/0.png"), r"train: holds images, but not in a folder"),
    "parts of other names": (("dev/a/0.png", "validation/a/0.png"), "dev and validation are names of parts"),
    "one part twice": (("train/a/0.png", "Train/a/0.png", "test/a/0.png"), "Train and train, which are one part"),
    "test class unknown": (("train/a/0.png", "test/a/0.png", "test/c/0.png"), "train does not have: c"),
    "nothing but empty classes": (("b/notes.txt", "c/.hidden.png"), "no image in b, c"),
}


@pytest.mark.parametrize(("files", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_layouts(tmp_path: Path, files: tuple[str, ...], said: str) -> None:
    for level, file in enumerate(files):
        path = tmp_path / file
        if path.suffix == ".png":
            put(path, level)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("not an image")
    with pytest.raises(InputError, match=said) as caught:
        open_task(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("files", "known"),
    [
        (("a/0.png", "a/1.png", "b/notes.txt", "c/.hidden.png"), ("a",)),
        (("train/a/0.png", "train/b/0.png", "test/a/0.png", "test/b/deep/x.txt"), ("a", "b")),
    ],
)
def test_class_folders_that_nobody_filled_are_left_out(
    tmp_path: Path, files: tuple[str, ...], known: tuple[str, ...]
) -> None:
    for level, file in enumerate(files):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        if file.endswith("0.png") or file.endswith("1.png"):
            put(tmp_path / file, level)
        else:
            (tmp_path / file).touch()
    with pytest.warns(ScholarsWarning, match="no image in b.*left out"):
        assert open_task(tmp_path).classes == known


def test_a_choice_of_classes_is_all_that_is_read(tmp_path: Path) -> None:
    fill(tmp_path, "abc")
    (tmp_path / "b" / "damaged.png").write_bytes(b"not an image")
    task = open_task(tmp_path, classes=("c", "a"))
    assert task.classes == ("c", "a")
    assert sorted(levels(task, "train") + levels(task, "test")) == [
        *((level, "a") for level in range(3)),
        *((level, "c") for level in range(6, 9)),
    ]
    with pytest.raises(InputError, match="no class 'd'"):
        open_task(tmp_path, classes=("a", "d"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows file names that are not UTF-8")
def test_a_class_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    """It could not be written into the scholar, and that would be found out when all is learned."""
    for name in (b"caf\xe9", b"tea"):
        folder = tmp_path / os.fsdecode(name)
        folder.mkdir()
        Image.new("L", (8, 8)).save(folder / "a.png")
    with pytest.raises(InputError, match=r"'caf.*' is not UTF-8; rename it"):
        open_task(tmp_path, size=8)


def test_no_folder_and_no_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a known task nor a file or folder that exists"):
        open_task(tmp_path / "absent")
    with pytest.raises(InputError, match="size is 0"):
        open_task(fill(tmp_path), size=0)


# Links


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a" / "link.png").symlink_to(put(tmp_path / ".store" / "one" / "extra.png", 99))
    put(tmp_path / ".store" / "more" / "0.png", 98)
    (tmp_path / "a" / "more").symlink_to(tmp_path / ".store" / "more", target_is_directory=True)
    task = open_task(tmp_path)
    of_a = [level for part in ("train", "test") for level, name in levels(task, part) if name == "a"]
    assert sorted(of_a) == [0, 1, 2, 98, 99]


@pytest.mark.parametrize("link", ["a/link.png", "a/link", "c"])
def test_links_out_of_the_folder_are_refused(tmp_path: Path, link: str) -> None:
    outside = put(tmp_path / "outside" / "0.png", 9)
    root = fill(tmp_path / "root")
    (root / link).symlink_to(outside if link.endswith(".png") else outside.parent)
    with pytest.raises(InputError, match=f"{link}: is a link that leaves the folder"):
        open_task(root)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a" / "x").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "y").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="a folder that it is in itself"):
        open_task(tmp_path)


def test_the_folder_may_be_a_link_itself(tmp_path: Path) -> None:
    fill(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(open_task(tmp_path / "link").train) > 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(fill(tmp_path) / "a" / "pipe.png")
    with pytest.raises(InputError, match=r"a/pipe\.png: is no file"):
        open_task(tmp_path)


def said(task: Task) -> str:
    return " | ".join(task.remarks)


def test_every_file_that_is_left_out_is_counted(tmp_path: Path) -> None:
    fill(tmp_path)
    for name in ("a/1.HEIC" if ".heic" not in image_suffixes() else "a/1.cr2", "a/2.mp4", "b/3.mp4", "a/deep/4.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name in ("a/.DS_Store", "a/Thumbs.db", "b/desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    put(tmp_path / "cover.png", 77)
    task = open_task(tmp_path)
    counted = Counter((each.ending, each.reason) for each in task.skipped)
    first = ".cr2" if ".heic" in image_suffixes() else ".heic"
    assert {ending for ending, _ in counted} == {first, ".mp4", ".txt", ".png"}
    assert counted[".mp4", "videos"] == 2
    assert counted[".txt", "no images"] == counted[".png", "beside the class folders"] == 1
    assert "left out 5 files: " in said(task) and "2 .mp4 (videos)" in said(task)
    assert {each.file for each in task.skipped} >= {"a/deep/4.txt", "cover.png"}
    assert task.inverted().skipped == task.skipped


def test_nothing_left_out_is_nothing_said(tmp_path: Path) -> None:
    assert open_task(fill(tmp_path)).remarks == ()


def test_a_folder_of_other_files_says_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in range(3):
        (tmp_path / "a" / f"{number}.nef").write_bytes(b"x")
    with pytest.raises(InputError, match=r"no image in a .*3 \.nef \(a camera's raw files: save them as JPEG\)"):
        open_task(tmp_path)


def test_validation_is_the_test_part_where_there_is_no_other(tmp_path: Path) -> None:
    for part, level in (("train", 0), ("valid", 10)):
        put(tmp_path / part / "cat" / "0.png", level)
        put(tmp_path / part / "dog" / "0.png", level + 1)
    task = open_task(tmp_path)
    assert levels(task, "test") == [(10, "cat"), (11, "dog")]
    assert said(task) == "valid is the test part: there is no other"


def test_parts_that_are_not_used_are_counted(tmp_path: Path) -> None:
    for part, level in (("train", 0), ("test", 10), ("val", 20)):
        put(tmp_path / part / "cat" / "0.png", level)
        put(tmp_path / part / "dog" / "0.png", level + 1)
    put(tmp_path / "readme.png", 30)
    task = open_task(tmp_path)
    assert levels(task, "train") == [(0, "cat"), (1, "dog")]
    assert levels(task, "test") == [(10, "cat"), (11, "dog")]
    assert sorted(each.reason for each in task.skipped) == [
        "beside the folders test and train",
        "in the folder val, beside test and train",
        "in the folder val, beside test and train",
    ]


NESTED = {
    "an outer folder": (("p25/cat/0.png", "p25/cat/1.png", "p25/dog/2.png", "p25/dog/3.png"), "p25", "cat, dog"),
    "an outer folder of one class": (("p25/cat/0.png", "p25/cat/1.png"), "p25", "cat"),
    "groups": (("pets/cat/0.png", "pets/dog/1.png", "cars/0.png", "cars/1.png"), "pets", "cat, dog"),
}


@pytest.mark.parametrize(("files", "outer", "inner"), NESTED.values(), ids=NESTED.keys())
def test_a_class_folder_of_folders_may_be_a_mistake(
    tmp_path: Path, files: tuple[str, ...], outer: str, inner: str
) -> None:
    for level, file in enumerate(files):
        put(tmp_path / file, level)
    with pytest.raises(
        InputError, match=f"holds no image of its own but the folders? {inner}: is it one class"
    ) as caught:
        open_task(tmp_path)
    assert f"give {tmp_path / outer}" in str(caught.value)
    assert "--classes " in str(caught.value)
    classes = sorted({file.split("/")[0] for file in files})
    task = open_task(tmp_path, classes=classes)
    assert len(task.train) + len(task.test) == len(files)
    assert re.search(f"class {outer!r} is of the images in the folders? {inner}", said(task))


def test_folders_in_class_folders_are_read_where_classes_are_clear(tmp_path: Path) -> None:
    """A folder for each year in one class, and a class with images of its own."""
    for level, file in enumerate(("cat/2024/0.png", "cat/2024/1.png", "dog/2.png", "dog/old/3.png", "dog/older/4.png")):
        put(tmp_path / file, level)
    assert open_task(tmp_path).classes == ("cat", "dog")


def test_a_folder_of_folders_called_like_a_known_class_is_that_class(tmp_path: Path) -> None:
    for level, file in enumerate(("cat/2025/0.png", "cat/2025/1.png", "cat/2026/2.png")):
        put(tmp_path / file, level)
    task = open_task(tmp_path, known=("cat", "dog"))
    assert task.classes == ("cat",)
    assert said(task) == "class 'cat' is of the images in the folders 2025, 2026"
    with pytest.raises(InputError, match="is it one class, or is each of them one"):
        open_task(tmp_path, known=("dog",))


# Links out of the folder, as git-annex and DVC make them


def annexed(root: Path, name: str, level: int, store: str = ".git/annex/objects") -> Path:
    """A link to a file that is called by its content, has no ending and may not be written."""
    content = put(root / f"{level}.png", level)
    target = root / store / "1f" / f"SHA256E-s{level}"
    target.parent.mkdir(parents=True, exist_ok=True)
    content.rename(target)
    target.chmod(0o444)
    link = root / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(target, link.parent))
    return target


def test_links_into_a_folder_that_is_named_are_followed(tmp_path: Path) -> None:
    for level in range(6):
        annexed(tmp_path, f"photos/{'ab'[level // 3]}/{level}.jpg", level)
    with pytest.raises(InputError, match=r"0\.jpg: is a link that leaves the folder, to .*--follow-links ROOT"):
        open_task(tmp_path / "photos")
    task = open_task(tmp_path / "photos", follow_links=tmp_path)
    assert sorted(levels(task, "train") + levels(task, "test")) == [(level, "ab"[level // 3]) for level in range(6)]
    assert task.remarks == ()
    assert len(open_task(tmp_path, classes=("photos",)).train) > 0, "its store is in the folder, if hidden"


def test_links_that_leave_both_folders_are_refused(tmp_path: Path) -> None:
    root, store = fill(tmp_path / "root"), tmp_path / "store"
    store.mkdir()
    (root / "a" / "link.png").symlink_to(put(tmp_path / "secret" / "0.png", 9))
    with pytest.raises(InputError, match=f"is a link that leaves the folder and {store}, to "):
        open_task(root, follow_links=store)
    (root / "a" / "link.png").unlink()
    (store / "up").symlink_to(tmp_path / "secret", target_is_directory=True)
    (root / "c").symlink_to(store / "up", target_is_directory=True)
    with pytest.raises(InputError, match=r"/c: is a link that leaves"):
        open_task(root, follow_links=store)
    with pytest.raises(InputError, match="none: is no folder; name the one that the links lead into"):
        open_task(root, follow_links=tmp_path / "none")


def test_links_in_a_circle_are_refused_in_a_folder_that_is_named_too(tmp_path: Path) -> None:
    root = fill(tmp_path / "store" / "root")
    (root / "a" / "x").symlink_to(tmp_path / "store", target_is_directory=True)
    with pytest.raises(InputError, match=r"remove the link"):
        open_task(root, follow_links=tmp_path / "store")


def test_what_was_not_fetched_is_listed_with_what_to_do(tmp_path: Path) -> None:
    for level in range(4):
        annexed(tmp_path, f"photos/{'ab'[level % 2]}/{level}.png", level)
    annexed(tmp_path, "photos/a/9.png", 9).unlink()
    (tmp_path / "photos" / "b" / "8.png").write_text("/annex/objects/SHA256E-s8--1f.png\n")
    (tmp_path / "photos" / "b" / "7.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1f\n")
    (tmp_path / "photos" / "c").symlink_to(tmp_path / "photos" / "gone", target_is_directory=True)
    with pytest.raises(InputError, match="3 of 7 images cannot be read") as caught:
        open_task(tmp_path / "photos", follow_links=tmp_path)
    assert "a/9.png: is a link that leads nowhere: git annex get or dvc pull fetches" in str(caught.value)
    for file in ("b/7.png", "b/8.png"):
        assert f"{file}: stands for an image that was not fetched: git annex get or git lfs pull" in str(caught.value)
    task = open_task(tmp_path / "photos", follow_links=tmp_path, skip_unreadable=True)
    reasons = Counter(each.reason.split(":")[0] for each in task.skipped)
    assert reasons == {"links that lead nowhere": 1, "cannot be read": 3}


def test_a_link_to_itself_is_listed(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a" / "self.png").symlink_to("self.png")
    with pytest.raises(InputError, match=r"a/self\.png: is a link that leads nowhere"):
        open_task(tmp_path)
