"""make_photo_sets.py: the two archives become image folders; anything else is refused, and nothing is written."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import make_photo_sets
import numpy as np
import pytest
from make_photo_sets import make_set
from PIL import Image

from scholars.errors import InputError
from scholars.tasks.open import open_task


def photo(*seed: int) -> bytes:
    packed = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(packed, "JPEG")
    return packed.getvalue()


def tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as opened:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return path


def caltech(classes: dict[str, int]) -> bytes:
    root = "101_ObjectCategories"
    photos = {
        f"{root}/{name}/image_{i:04d}.jpg": photo(i, *name.encode())
        for name, count in classes.items()
        for i in range(count)
    }
    return tar({**photos, f"{root}/tmp": b"", f"{root}/._ant": b"x", f"{root}/ant/._image_0000.jpg": b"x"})


def clothing(path: Path) -> Path:
    root, counts = "clothing-dataset-small-master", {"train": 4, "validation": 2, "test": 3}
    photos = {
        f"{root}/{part}/{name}/{part}-{i}.jpg": photo(i)
        for part, count in counts.items()
        for name in ("dress", "hat")
        for i in range(count)
    }
    return zipped(path, {f"{root}/README.md": b"clothes", **photos})


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.jpg")}


@pytest.mark.parametrize("nested", [True, False])
def test_caltech(nested: bool, tmp_path: Path) -> None:
    """As one downloads it, a tar archive in a zip archive, and the inner one alone."""
    packed = caltech({"ant": 12, "Faces": 3, "Faces_easy": 3, "BACKGROUND_Google": 3, "yin_yang": 140})
    archive = tmp_path / "archive"
    if nested:
        zipped(archive, {"caltech-101/Annotations.tar": b"x", "caltech-101/101_ObjectCategories.tar.gz": packed})
    else:
        archive.write_bytes(packed)
    out = tmp_path / "data" / "caltech101"
    assert "2 classes, 114 photos to train and 28 to test" in make_set(archive, out)
    task = open_task("caltech101", data_dir=tmp_path / "data", decode=False)
    assert task.classes == ("ant", "yin_yang")
    assert [len(list((out / part / "ant").iterdir())) for part in ("train", "test")] == [10, 2]
    assert [len(list((out / part / "yin_yang").iterdir())) for part in ("train", "test")] == [104, 26]
    with Image.open(next((out / "train" / "ant").iterdir())) as picture:
        assert picture.size == (192, 128)


def test_the_seed_decides_what_is_the_test(tmp_path: Path) -> None:
    """And of each class alone: other classes change nothing."""
    few, more = tmp_path / "few.tar.gz", tmp_path / "more.tar.gz"
    few.write_bytes(caltech({"ant": 30}))
    more.write_bytes(caltech({"Leopards": 5, "ant": 30}))
    found = []
    for number, (archive, seed) in enumerate([(few, 0), (few, 0), (more, 0), (few, 1)]):
        out = tmp_path / str(number)
        make_set(archive, out, side=16, seed=seed)
        found.append(names(out / "test" / "ant"))
    assert found[0] == found[1] == found[2] != found[3]


def test_clothing(tmp_path: Path) -> None:
    out = tmp_path / "clothing"
    line = make_set(clothing(tmp_path / "clothes.zip"), out, side=32)
    assert "2 classes, 12 photos to train and 6 to test" in line
    hats = {f"{part}-{number}.jpg" for part, count in (("train", 4), ("validation", 2)) for number in range(count)}
    assert names(out / "train" / "hat") == hats
    assert names(out / "test" / "dress") == {f"test-{number}.jpg" for number in range(3)}


def test_what_was_made_is_made_again(tmp_path: Path) -> None:
    archive, out = clothing(tmp_path / "clothes.zip"), tmp_path / "out"
    make_set(archive, out, side=16)
    before = names(out)
    (out / "train" / "hat" / "more.jpg").touch()
    make_set(archive, out, side=16)
    assert names(out) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        make_set(clothing(tmp_path / "clothes.zip"), out)
    assert (out / "letter.txt").read_text() == "dear"


def linked(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as opened:
        member = tarfile.TarInfo("101_ObjectCategories/ant/image_0001.jpg")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(member)
    return path


def linked_in_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        entry = zipfile.ZipInfo("x/train/hat/1.jpg")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(entry, "/etc/passwd")
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_other_files_are_refused(tmp_path: Path) -> None:
    whole = clothing(tmp_path / "clothes.zip").read_bytes()
    cases = [
        (tmp_path / "missing.zip", "cannot be read"),
        (written(tmp_path / "text", b"no archive at all"), "no archive"),
        (written(tmp_path / "cut.tar.gz", caltech({"ant": 30})[:-300]), "damaged"),
        (written(tmp_path / "cut.zip", whole[: len(whole) // 2]), "no archive"),
        (zipped(tmp_path / "other.zip", {"photos/cat/1.jpg": photo(1)}), "neither Caltech-101"),
        (zipped(tmp_path / "half.zip", {"x/train/hat/1.jpg": photo(1)}), "same classes"),
        (zipped(tmp_path / "out.zip", {"x/train/../../../hat/1.jpg": photo(1)}), "leads out"),
        (zipped(tmp_path / "root.zip", {"/train/hat/1.jpg": photo(1)}), "leads out"),
        (written(tmp_path / "out.tar", tar({"../train/hat/1.jpg": photo(1)})), "leads out"),
        (linked(tmp_path / "link.tar.gz"), "is a link"),
        (linked_in_zip(tmp_path / "link.zip"), "is a link"),
        (zipped(tmp_path / "bad.zip", {"x/train/hat/1.jpg": b"no image"}), r"hat/1\.jpg cannot be read"),
    ]
    for archive, message in cases:
        with pytest.raises(InputError, match=message):
            make_set(archive, tmp_path / "out")
        assert not (tmp_path / "out").exists(), archive
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], archive


@pytest.mark.parametrize("limit", ["_MAX_FILE", "_MAX_ALL", "_MAX_COUNT"])
def test_archives_have_limits(limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_photo_sets, limit, 2)
    with pytest.raises(InputError, match="more, or larger files"):
        make_set(clothing(tmp_path / "clothes.zip"), tmp_path / "out")


def test_the_command_says_what_is_wrong_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = clothing(tmp_path / "clothes.zip")
    monkeypatch.setattr("sys.argv", ["make_photo_sets.py", str(archive), str(tmp_path / "out"), "--side", "16"])
    make_photo_sets.main()
    assert "12 photos to train and 6 to test" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["make_photo_sets.py", str(tmp_path / "none"), str(tmp_path / "other")])
    with pytest.raises(SystemExit, match=r"make_photo_sets\.py: .*none cannot be read"):
        make_photo_sets.main()
