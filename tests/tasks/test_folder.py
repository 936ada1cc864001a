"""Image folders: how they are laid out, split and decoded, and what is said about those that are not right."""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from scholars.errors import InputError, ScholarsWarning
from scholars.tasks import Task, open_task
from scholars.tasks.listing import natural
from scholars.tasks.parts import held_out_by
from scholars.tasks.shapes import fit_images

RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8))


def put(path: Path, image: Image.Image | int = 0, size: int = 8) -> Path:
    """Save an image, or one of this level of grey, making the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("L", (size, size), image) if isinstance(image, int) else image
    picture.save(path)
    return path


def fill(folder: Path, classes: str = "ab", each: int = 3) -> Path:
    """Grey images, all of different levels."""
    for place, name in enumerate(classes):
        for number in range(each):
            put(folder / name / f"{number}.png", place * each + number)
    return folder


def read_folder(folder: Path, size: int | None = None) -> Task:
    return open_task(folder, size=size)


def levels(task: Task, part: str) -> list[tuple[int, str]]:
    """The level of each image of a part and the name of its class."""
    images = getattr(task, part)
    pairs = zip(images.images[:, 0, 0, 0], images.labels, strict=True)
    return sorted((int(level), task.classes[label]) for level, label in pairs)


def only_picture(folder: Path, size: int | None = None) -> np.ndarray:
    """The pixels of ``x/picture.*``, the only image of the train part."""
    task = read_folder(folder, size)
    assert len(task.train) == 1
    picture: np.ndarray = task.train.images[0]
    return picture


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder with a test part, whose train part is to get its picture."""
    put(tmp_path / "test" / "x" / "0.png", size=64)
    (tmp_path / "train" / "x").mkdir(parents=True)
    return tmp_path


# Layout


@pytest.mark.parametrize("names", [("Train", "Test"), ("TRAIN", "test")])
def test_parts_in_capitals(tmp_path: Path, names: tuple[str, str]) -> None:
    for place, name in enumerate(names):
        put(tmp_path / name / "cat" / "0.png", 10 * place)
        put(tmp_path / name / "dog" / "0.png", 10 * place + 1)
    task = read_folder(tmp_path)
    assert task.classes == ("cat", "dog")
    assert levels(task, "train") == [(0, "cat"), (1, "dog")]
    assert levels(task, "test") == [(10, "cat"), (11, "dog")]


def test_copies_in_both_parts_and_of_two_classes_are_named(tmp_path: Path) -> None:
    for part in ("train", "test"):
        put(tmp_path / part / "cat" / "same.png", 1)
    put(tmp_path / "train" / "dog" / "0.png", 2)
    put(tmp_path / "test" / "dog" / "1.png", 3)
    put(tmp_path / "test" / "dog" / "2.png", 1)
    with pytest.warns(ScholarsWarning) as said:
        read_folder(tmp_path)
    both, two = (str(warning.message) for warning in said)
    assert re.search(r"1 images are in both parts(.|\n)*train/cat/same\.png and test/cat/same\.png", both)
    assert re.search(r"1 images are of two classes(.|\n)*train/cat/same\.png and test/dog/2\.png", two)


def test_a_link_makes_no_second_class(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "c").symlink_to(tmp_path / "a", target_is_directory=True)
    with pytest.raises(InputError, match="read already; remove the link"):
        read_folder(tmp_path)


def test_one_name_is_one_class_however_its_accents_are_written(tmp_path: Path) -> None:
    """macOS writes e and an accent, others one character."""
    put(tmp_path / "one" / "Zoe\u0301" / "0.png", 90)
    put(tmp_path / "one" / "Zoe\u0301" / "1.png", 91)
    fill(tmp_path / "one")
    assert read_folder(tmp_path / "one").classes == ("a", "b", "Zo\u00e9")
    assert open_task(tmp_path / "one", classes=("Zoe\u0301",)).classes == ("Zo\u00e9",)
    put(tmp_path / "one" / "Zo\u00e9" / "0.png", 7)
    with pytest.raises(InputError, match="two folders are called Zo\u00e9"):
        read_folder(tmp_path / "one")


def test_names_that_a_terminal_would_obey_are_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    put(tmp_path / "c\x1b[31m" / "0.png")
    with pytest.raises(InputError, match="control character; rename it"):
        read_folder(tmp_path)


def test_numbers_in_names_of_any_length_are_in_order(tmp_path: Path) -> None:
    long = "1" * 5000
    assert sorted([long, "x10", "x9", "007", "8", "x"], key=natural) == ["007", "8", long, "x", "x9", "x10"]


def test_train_and_test(tmp_path: Path) -> None:
    for name, level in (("2", 20), ("10", 100), ("1", 10)):
        put(tmp_path / "shapes" / "train" / name / "a.png", level)
    put(tmp_path / "shapes" / "test" / "10" / "a.png", 101)
    task = read_folder(tmp_path / "shapes")
    assert (task.name, task.classes) == ("shapes", ("1", "2", "10"))
    assert levels(task, "train") == [(10, "1"), (20, "2"), (100, "10")]
    assert levels(task, "test") == [(101, "10")]


def test_class_folders_alone(tmp_path: Path) -> None:
    task = read_folder(fill(tmp_path, each=40))
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
    task = read_folder(tmp_path)
    assert task.classes == ("a", "b")
    assert {level for part in ("train", "test") for level, _ in levels(task, part)} == {0, 1, 2, 3, 4, 5, 100}


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "empty": ((), "no folder with images"),
    "only other files": (("notes.txt",), "no folder with images"),
    "flat": (("0.png", "1.png"), "images, but not in a folder for their class"),
    "train without test": (("train/a/0.png", "train/a/1.png"), "'train' but none called 'test'"),
    "test without train": (("test/a/0.png", "b/0.png"), r"'test' but none called 'train' \(there is: b, test\)"),
    "flat train": (("train/0.png", "test/a/0.png"), r"train: holds images, but not in a folder"),
    "parts of other names": (("training/a/0.png", "validation/a/0.png"), "training and validation are names of parts"),
    "one part twice": (("train/a/0.png", "Train/a/0.png", "test/a/0.png"), "Train and train, which are one part"),
    "test class unknown": (("train/a/0.png", "test/a/0.png", "test/c/0.png"), "train does not have: c"),
    "one image": (("a/0.png", "a/1.png", "b/0.png"), "class 'b' holds only one image"),
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
        read_folder(tmp_path)
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
        assert read_folder(tmp_path).classes == known


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


def test_copies_of_one_image_cannot_be_split(tmp_path: Path) -> None:
    put(tmp_path / "a" / "0.png", 3)
    put(tmp_path / "a" / "1.png", 3)
    with pytest.raises(InputError, match="one image, in 2 copies"):
        read_folder(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
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
        read_folder(tmp_path / "absent")
    with pytest.raises(InputError, match="size is 0"):
        read_folder(fill(tmp_path), 0)


# Links


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a" / "link.png").symlink_to(put(tmp_path / ".store" / "one" / "extra.png", 99))
    put(tmp_path / ".store" / "more" / "0.png", 98)
    (tmp_path / "a" / "more").symlink_to(tmp_path / ".store" / "more", target_is_directory=True)
    task = read_folder(tmp_path)
    of_a = [level for part in ("train", "test") for level, name in levels(task, part) if name == "a"]
    assert sorted(of_a) == [0, 1, 2, 98, 99]


@pytest.mark.parametrize("link", ["a/link.png", "a/link", "c"])
def test_links_out_of_the_folder_are_refused(tmp_path: Path, link: str) -> None:
    outside = put(tmp_path / "outside" / "0.png", 9)
    root = fill(tmp_path / "root")
    (root / link).symlink_to(outside if link.endswith(".png") else outside.parent)
    with pytest.raises(InputError, match=f"{link}: is a link that leaves the folder"):
        read_folder(root)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a" / "x").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "y").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="a folder that it is in itself"):
        read_folder(tmp_path)


def test_the_folder_may_be_a_link_itself(tmp_path: Path) -> None:
    fill(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(read_folder(tmp_path / "link").train) > 0


# The split


@given(st.sets(st.binary(max_size=4), min_size=2, max_size=30), st.sets(st.binary(max_size=4), max_size=30))
def test_a_file_stays_on_its_side_when_others_are_added(contents: set[bytes], added: set[bytes]) -> None:
    before = sides(contents)
    assume(by_themselves(contents))
    after = sides(contents | added)
    assert {content: after[content] for content in contents} == before


@given(st.lists(st.binary(max_size=2), min_size=2, max_size=12))
def test_both_sides_hold_something_and_equal_files_stay_together(contents: list[bytes]) -> None:
    assume(len(set(contents)) > 1)
    digests = [hashlib.sha256(content).digest() for content in contents]
    held_out = held_out_by(digests)
    assert {True, False} == set(held_out)
    assert len(set(zip(contents, held_out, strict=True))) == len(set(contents))


def test_about_a_fifth_is_held_out() -> None:
    assert 0.18 < np.mean(list(sides({bytes([i, j]) for i in range(50) for j in range(50)}).values())) < 0.22


def test_one_of_two_is_held_out_whatever_they_are() -> None:
    assert held_out_by([b"\xf0", b"\xf1"]) == [True, False]
    assert held_out_by([b"\x01", b"\x02"]) == [True, False]


def sides(contents: set[bytes]) -> dict[bytes, bool]:
    ordered = sorted(contents)
    return dict(zip(ordered, held_out_by([hashlib.sha256(content).digest() for content in ordered]), strict=True))


def by_themselves(contents: set[bytes]) -> bool:
    """Whether the hashes alone leave something on both sides."""
    low = [hashlib.sha256(content).digest()[0] < 51 for content in contents]
    return any(low) and not all(low)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(st.permutations(range(20)))
def test_names_do_not_move_the_split(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    folder = tmp_path_factory.mktemp("images")
    for number, level in enumerate(order):
        put(folder / "a" / str(number % 3) / f"{number}.png", level)
    held_out = [level for level, _ in levels(read_folder(folder), "test")]
    assert held_out == [level for level, _ in levels(read_folder(fill(folder / "b", "a", 20)), "test")]


# Sizes


def test_the_smallest_shorter_side_is_the_size_of_all(tmp_path: Path) -> None:
    for number, size in enumerate([(30, 50), (12, 9), (40, 40)]):
        put(tmp_path / "a" / f"{number}.png", Image.new("L", size, number))
    task = read_folder(tmp_path)
    assert task.train.images.shape[1:] == task.test.images.shape[1:] == (1, 9, 9)


def test_the_size_is_at_most_64_unless_asked_for(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path / "a" / f"{number}.png", number, size=100)
    assert read_folder(tmp_path).train.images.shape[2:] == (64, 64)
    assert read_folder(tmp_path, 90).train.images.shape[2:] == (90, 90)
    assert read_folder(tmp_path, 128).train.images.shape[2:] == (128, 128)


def test_images_of_the_size_are_not_touched(alone: Path) -> None:
    put(alone / "train" / "x" / "picture.png", NOISE.crop((0, 0, 20, 20)))
    assert np.array_equal(only_picture(alone), np.asarray(NOISE)[:, :20].transpose(2, 0, 1))


def test_the_longer_side_is_cropped_around_the_centre(alone: Path) -> None:
    wide = NOISE.crop((0, 0, 28, 20))
    put(alone / "train" / "x" / "picture.png", wide)
    expected = fit_images(np.asarray(wide).transpose(2, 0, 1)[np.newaxis], 3, 10)[0]
    assert np.abs(only_picture(alone, 10).astype(int) - expected).max() <= 1  # the same as resizing a task


# Formats and modes


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"])
def test_formats(alone: Path, ending: str) -> None:
    picture = np.full((16, 16, 3), (200, 60, 20), dtype=np.uint8)
    put(alone / "train" / "x" / f"picture.{ending}", Image.fromarray(picture))
    decoded = only_picture(alone)
    assert decoded.shape == (3, 16, 16)
    assert np.abs(decoded.astype(int) - picture.transpose(2, 0, 1)).max() <= 8


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif"])
def test_grey_is_grey_however_it_is_saved(alone: Path, ending: str) -> None:
    ramp = np.repeat(np.arange(0, 256, 16, dtype=np.uint8)[:, np.newaxis], 16, axis=1)
    put(alone / "train" / "x" / f"picture.{ending}", Image.fromarray(ramp).convert("RGB"))
    decoded = only_picture(alone)
    assert decoded.shape == (1, 16, 16)
    assert np.abs(decoded[0].astype(int) - ramp).max() <= 8


def test_one_image_with_colour_makes_all_rgb(tmp_path: Path) -> None:
    fill(tmp_path)
    put(tmp_path / "a" / "colour.png", Image.new("RGB", (8, 8), (250, 0, 0)))
    task = read_folder(tmp_path)
    assert task.train.images.shape[1] == task.test.images.shape[1] == 3
    everything = np.concatenate([task.train.images, task.test.images])
    assert sum(bool((image == image[0]).all()) for image in everything) == 6


def moving(mode: str) -> bytes:
    """A GIF that is dark first and light then."""
    frames = [Image.new(mode, (8, 8), level) for level in ("#101010", "#f0f0f0")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_of_a_moving_picture_the_first_frame(alone: Path) -> None:
    (alone / "train" / "x" / "picture.gif").write_bytes(moving("RGB"))
    assert (only_picture(alone) == 16).all()


WIDE = np.array([[0, 257], [32768, 65535]], dtype=np.uint16)
EIGHT = np.array([[0, 1], [128, 255]])
HALF_CLEAR = np.array([[[0, 0], [0, 255]], [[100, 255], [0, 128]]], dtype=np.uint8)
OVER_WHITE = np.array([[255, 0], [100, 127]])


def palette(transparent: bool) -> Image.Image:
    """Places 0..3 of a palette: black, 1, 128, white; black may be transparent."""
    image = Image.new("P", (2, 2))
    image.putdata([0, 1, 2, 3])
    image.putpalette([0, 0, 0, 1, 1, 1, 128, 128, 128, 255, 255, 255])
    if transparent:
        image.info["transparency"] = 0
    return image


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("L.png", Image.fromarray(EIGHT.astype(np.uint8)), EIGHT),
        ("1.png", Image.fromarray(np.array([[True, False], [False, True]])), np.array([[255, 0], [0, 255]])),
        ("LA.png", Image.fromarray(HALF_CLEAR), OVER_WHITE),
        ("RGBA.png", Image.fromarray(HALF_CLEAR).convert("RGBA"), OVER_WHITE),
        ("P.png", palette(False), EIGHT),
        ("P-clear.png", palette(True), np.array([[255, 1], [128, 255]])),
        ("CMYK.tiff", Image.fromarray(EIGHT.astype(np.uint8)).convert("RGB").convert("CMYK"), EIGHT),
        ("I16.png", Image.fromarray(WIDE), EIGHT),
        ("I16.tiff", Image.fromarray(WIDE), EIGHT),
        ("I.tiff", Image.fromarray(WIDE.astype(np.int32)), EIGHT),
        ("F1.tiff", Image.fromarray((EIGHT / 255).astype(np.float32)), EIGHT),
        ("F255.tiff", Image.fromarray(EIGHT.astype(np.float32)), EIGHT),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_modes(alone: Path, name: str, image: Image.Image, expected: np.ndarray) -> None:
    image.save(alone / "train" / "x" / name)
    decoded = only_picture(alone)
    assert decoded.shape == (1, 2, 2)
    assert decoded[0].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([[0, 70_000]], dtype=np.int32), "has values of 0 to 70000, not 16 bits"),
        (np.array([[-1, 5]], dtype=np.int32), "has values of -1 to 5"),
        (np.array([[0, 256]], dtype=np.float32), r"neither 0\.\.1 nor 0\.\.255"),
        (np.array([[0, np.nan]], dtype=np.float32), r"neither 0\.\.1 nor 0\.\.255"),
    ],
)
def test_values_of_an_unknown_range_are_refused(alone: Path, values: np.ndarray, said: str) -> None:
    Image.fromarray(values).save(alone / "train" / "x" / "picture.tiff")
    with pytest.raises(InputError, match=said):
        read_folder(alone)


def test_rotation_of_a_camera_is_applied(alone: Path) -> None:
    upright = np.zeros((16, 16), dtype=np.uint8)
    upright[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it upright
    stored = Image.fromarray(np.rot90(upright))
    stored.save(alone / "train" / "x" / "picture.jpg", exif=exif, quality=95)
    assert np.abs(only_picture(alone)[0].astype(int) - upright).max() <= 8


# Files that cannot be read


def encoded(form: str) -> bytes:
    file = io.BytesIO()
    NOISE.save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_cut_off_files_are_refused(alone: Path, form: str) -> None:
    whole = encoded(form)
    for length in (3, len(whole) // 2, len(whole) * 9 // 10):
        (alone / "train" / "x" / f"picture.{form.lower()}").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"1 of 2 images cannot be read(.|\n)*train/x/picture\.") as caught:
            read_folder(alone)
        assert "BytesIO" not in str(caught.value)


def test_all_unreadable_files_are_listed_at_once(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a" / "empty.png").touch()
    (tmp_path / "a" / "page.jpg").write_text("<html>not found</html>")
    (tmp_path / "b" / "gone.png").symlink_to(tmp_path / "b" / "nothing.png")
    (tmp_path / "b" / "drawing.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    with pytest.raises(InputError, match="4 of 10 images cannot be read") as caught:
        read_folder(tmp_path)
    for said in ("a/empty.png: is empty", "a/page.jpg: is no image", "b/gone.png: is no file", "b/drawing.png: is no"):
        assert said in str(caught.value)


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    fill(tmp_path)
    for number in range(25):
        (tmp_path / "a" / f"bad-{number}.png").touch()
    with pytest.raises(InputError, match="25 of 31 images") as caught:
        read_folder(tmp_path)
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[1].strip(), lines[-1]) == (22, "a/bad-0.png: is empty", "and 5 more")


@pytest.mark.parametrize("limit", [299, 599])
def test_decompression_bombs_are_refused(alone: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """600 pixels: more than the limit, which Pillow only warns of, or more than twice the limit."""
    put(alone / "train" / "x" / "picture.png", NOISE)
    put(alone / "test" / "x" / "0.png", size=4)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(InputError, match="decompression bomb"):
        read_folder(alone)


def test_nothing_is_printed_or_warned(alone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (alone / "train" / "x" / "picture.jpg").write_bytes(encoded("JPEG")[:500])
    with warnings.catch_warnings(record=True) as caught, pytest.raises(InputError):
        warnings.simplefilter("always")
        read_folder(alone)
    assert caught == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(fill(tmp_path) / "a" / "pipe.png")
    with pytest.raises(InputError, match=r"a/pipe\.png: is no file"):
        read_folder(tmp_path)
