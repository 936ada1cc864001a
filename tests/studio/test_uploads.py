"""What is uploaded: names that lead out, too much, no layout."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from unicodedata import normalize

import pytest
from PIL import Image

from scholars.errors import InputError
from scholars.studio import uploads
from scholars.studio.uploads import UploadWriter, check_archive
from scholars.tasks.open import open_task


def png(level: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (8, 8), level).save(content, "PNG")
    return content.getvalue()


def written(tmp_path: Path, *files: tuple[str, bytes]) -> UploadWriter:
    writer = UploadWriter(tmp_path / "images")
    for name, content in files:
        if file := writer.open(name):
            with file:
                writer.write(file, content)
    return writer


def zipped(tmp_path: Path, *files: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return tmp_path / "archive.zip"


def test_class_folders_come_through_and_the_rest_is_left_out(tmp_path: Path) -> None:
    root, note = written(
        tmp_path,
        ("photos/cat/a.png", b"1"),
        ("photos/dog/b c.JPG", b"2"),
        ("photos/dog/.DS_Store", b"x"),
        ("photos/dog/Thumbs.db", b"x"),
        ("__MACOSX/photos/cat/a.png", b"x"),
        ("photos/readme.txt", b"x"),
        ("photos/cat/clip.mov", b"x"),
    ).find_root()
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert found == ["cat/a-000001.png", "dog/b c-000002.jpg"]
    assert note == (
        "the classes are the folders in 'photos': cat, dog; left out 2 files: 1 .mov (videos), 1 .txt (no images)"
    )


def test_files_may_be_called_after_the_time(tmp_path: Path) -> None:
    written(tmp_path, ("cat/at 12:30:00\x1b.png", b"1"))
    assert (tmp_path / "images" / "cat" / "at 12_30_00_-000001.png").is_file()


def test_classes_may_be_called_as_no_folder_can_be(tmp_path: Path) -> None:
    names = ("aux", "what?", "50%")
    files = [(f"{name}/{n}.png", png(8 * place + n)) for place, name in enumerate(names) for n in range(2)]
    root, _ = written(tmp_path, *files).find_root()
    assert sorted(path.name for path in root.iterdir()) == ["%61ux", "50%25", "what%3F"]
    assert set(open_task(root).classes) == set(names)


@pytest.mark.parametrize(
    ("names", "known", "root", "words"),
    [
        (["photos/cat/a.png", "photos/dog/a.png"], [], "photos", "the folders in 'photos': cat, dog"),
        (["cat/a.png", "dog/a.png"], [], "", None),
        (["cat/a.png"], [], "", None),
        (["cat/2024/a.png", "cat/2025/a.png"], [], "cat", "the folders in 'cat': 2024, 2025"),
        (["cat/2024/a.png", "cat/2025/a.png"], ["cat"], "", None),
        (["cat/a.png", "cat/2025/a.png"], ["cat"], "", None),
        ([f"{normalize('NFD', 'Küche')}/{year}/a.png" for year in (2025, 2026)], ["Küche"], "", None),
        (["photos/train/cat/a.png", "photos/test/cat/a.png"], [], "photos", None),
        (["a/photos/cat/a.png", "a/photos/dog/a.png"], [], "a/photos", "the folders in 'photos': cat, dog"),
    ],
)
def test_where_the_classes_are(
    tmp_path: Path, names: list[str], known: list[str], root: str, words: str | None
) -> None:
    found, note = written(tmp_path, *((name, b"1") for name in names)).find_root(known)
    assert found == tmp_path / "images" / root
    assert (words is None) == (note is None)
    assert (words or "") in (note or "")


def test_an_upload_of_other_files_says_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no image \(left out 1 file: 1 \.mov \(videos\)\)"):
        written(tmp_path, ("cat/clip.mov", b"1")).find_root()


def test_a_folder_that_may_be_a_class_or_hold_them_is_refused(tmp_path: Path) -> None:
    files = ("photos/cover.png", b"1"), ("photos/cat/a.png", b"2")
    with pytest.raises(
        InputError, match="the upload/photos: holds images and folders: is it a class, or is each of them one"
    ):
        written(tmp_path, *files).find_root()
    with pytest.raises(
        InputError, match="the archive/photos: holds images and folders: is it a class, or is each of them one"
    ):
        check_archive(zipped(tmp_path, *files))


@pytest.mark.parametrize("name", ["../cat/a.png", "/etc/a.png", "cat/../../a.png", "..\\cat\\a.png", "C:/cat/a.png"])
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leads out of the archive"):
        written(tmp_path, (name, b"1"))
    assert not list(tmp_path.rglob("*.png"))
    with pytest.raises(InputError, match="leads out of the archive"):
        check_archive(zipped(tmp_path, (name, b"1")))


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are a file and a folder of the same name"):
        written(tmp_path, ("cat/a.png", b"1"), ("cat/a-000001.png/b.png", b"2"))


@pytest.mark.parametrize("name", ["c" * 300 + "/a.png", "c/" * 1500 + "a.png"])
def test_names_that_no_folder_could_have_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too long, too deep"):
        written(tmp_path, (name, b"1"))


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand times smaller packed."""
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(InputError, match=r"the archive: 'cat/a\.png' is an image of over 1 MiB"):
        check_archive(zipped(tmp_path, ("cat/a.png", bytes(2**22))))
    monkeypatch.setattr(uploads, "MAX_BYTES", 2**20)
    with pytest.raises(InputError, match=r"over 1 MiB in all.*teach them by `scholars learn`"):
        check_archive(zipped(tmp_path, *((f"cat/{i}.png", bytes(2**19)) for i in range(3))))
    monkeypatch.setattr(uploads, "MAX_FILES", 2)
    with pytest.raises(InputError, match="more than 2 files and folders: teach them by `scholars learn`"):
        check_archive(zipped(tmp_path, *((f"cat/{i}.png", b"1") for i in range(3))))
    with pytest.raises(InputError, match="more than 2 images: teach them by"):
        written(tmp_path, *((f"cat/{i}.png", b"1") for i in range(3)))
    monkeypatch.setattr(uploads, "MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(InputError, match="the archive: lists more files than are read"):
        check_archive(zipped(tmp_path, *((f"{i}.txt", b"") for i in range(9))))


def test_what_is_no_archive_of_class_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is in no folder"):
        written(tmp_path, ("a.png", b"1"))
    with pytest.raises(InputError, match="the archive: holds images, but not in a folder for their class"):
        check_archive(zipped(tmp_path, ("a.png", b"1")))
    with pytest.raises(InputError, match="no image in cat"):
        check_archive(zipped(tmp_path, ("cat/notes.txt", b"1")))
    path = tmp_path / "no.zip"
    path.write_bytes(b"not a zip")
    with pytest.raises(InputError, match="the archive: is not an archive that can be read") as caught:
        check_archive(path)
    assert str(tmp_path) not in str(caught.value)
