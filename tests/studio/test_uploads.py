from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from unicodedata import normalize

import pytest

from scholars.errors import InputError
from scholars.studio import uploads
from scholars.studio.uploads import UploadExtractor, unpack


def archive(tmp_path: Path, *entries: tuple[str, bytes]) -> Path:
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def taken(tmp_path: Path, *entries: tuple[str, bytes]) -> list[str]:
    intake = UploadExtractor(tmp_path / "images")
    unpack(archive(tmp_path, *entries), intake)
    root, _ = intake.find_root()
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_class_folders_come_through_and_the_rest_is_left_out(tmp_path: Path) -> None:
    found = taken(
        tmp_path,
        ("photos/cat/a.png", b"1"),
        ("photos/dog/b c.JPG", b"2"),
        ("photos/dog/.DS_Store", b"x"),
        ("__MACOSX/photos/cat/a.png", b"x"),
        ("photos/readme.txt", b"x"),
    )
    assert found == ["cat/a-000001.png", "dog/b c-000002.jpg"]


def test_files_may_be_called_after_the_time(tmp_path: Path) -> None:
    assert taken(tmp_path, ("cat/at 12:30:00\x1b.png", b"1")) == ["cat/at 12_30_00_-000001.png"]


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
    intake = UploadExtractor(tmp_path / "images")
    unpack(archive(tmp_path, *((name, b"1") for name in names)), intake)
    found, note = intake.find_root(known)
    assert found == tmp_path / "images" / root
    assert (words is None) == (note is None)
    assert (words or "") in (note or "")


def test_files_that_are_left_out_are_noted(tmp_path: Path) -> None:
    intake = UploadExtractor(tmp_path / "images")
    names = ("cat/a.png", "dog/b.png", "cat/clip.mov", "notes.txt", "cat/.DS_Store", "dog/Thumbs.db")
    unpack(archive(tmp_path, *((name, b"1") for name in names)), intake)
    _, note = intake.find_root()
    assert note == "left out 2 files: 1 .mov (videos), 1 .txt (no images)"


def test_an_upload_of_other_files_says_what_they_are(tmp_path: Path) -> None:
    intake = UploadExtractor(tmp_path / "images")
    unpack(archive(tmp_path, ("cat/clip.mov", b"1")), intake)
    with pytest.raises(InputError, match=r"holds no image \(left out 1 file: 1 \.mov \(videos\)\)"):
        intake.find_root()


def test_a_folder_that_may_be_a_class_or_hold_them_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is it a class, or are they"):
        taken(tmp_path, ("photos/cover.png", b"1"), ("photos/cat/a.png", b"2"))


@pytest.mark.parametrize("name", ["../cat/a.png", "/etc/a.png", "cat/../../a.png", "..\\cat\\a.png", "C:/cat/a.png"])
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leads out of the archive"):
        taken(tmp_path, (name, b"1"))
    assert not list(tmp_path.rglob("*.png"))


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are a file and a folder of the same name"):
        taken(tmp_path, ("cat/a.png", b"1"), ("cat/a-000001.png/b.png", b"2"))


def test_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("cat/a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        unpack(path, UploadExtractor(tmp_path / "images"))


def test_bombs_are_stopped_while_they_unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand times smaller packed; the bytes are counted as they come out."""
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(InputError, match="over 1 MiB"):
        taken(tmp_path, ("cat/a.png", bytes(2**22)))
    assert sum(path.stat().st_size for path in (tmp_path / "images").rglob("*") if path.is_file()) <= 2**20
    monkeypatch.setattr(uploads, "MAX_BYTES", 2**20)
    with pytest.raises(InputError, match="in all"):
        taken(tmp_path / "more", *((f"cat/{i}.png", bytes(2**19)) for i in range(3)))
    monkeypatch.setattr(uploads, "MAX_FILES", 2)
    with pytest.raises(InputError, match="more than 2 images"):
        taken(tmp_path / "many", *((f"cat/{i}.png", b"1") for i in range(3)))


def test_what_is_no_archive_of_class_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is in no folder"):
        taken(tmp_path, ("a.png", b"1"))
    with pytest.raises(InputError, match="holds no image"):
        taken(tmp_path / "empty", ("cat/notes.txt", b"1"))
    path = tmp_path / "no.zip"
    path.write_bytes(b"not a zip")
    with pytest.raises(InputError, match="not a zip file"):
        unpack(path, UploadExtractor(tmp_path / "other"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_to_the_end_at_once_is_not_unpacked(method: int, tmp_path: Path) -> None:
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("cat/a.png", bytes(2**22))
    with pytest.raises(InputError, match="another method than deflate"):
        unpack(path, UploadExtractor(tmp_path / "images"))
    assert not (tmp_path / "images").exists()


def test_damage_inside_is_an_error_for_people(tmp_path: Path) -> None:
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("cat/a.png", bytes(range(256)) * 20 + b"a" * 3000)
    content = bytearray(path.read_bytes())
    content[50:90] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a zip file that can be unpacked"):
        unpack(path, UploadExtractor(tmp_path / "images"))


@pytest.mark.parametrize("name", ["c" * 300 + "/a.png", "c/" * 1500 + "a.png"])
def test_names_that_no_folder_could_have_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too long, too deep"):
        taken(tmp_path, (name, b"1"))


@pytest.mark.parametrize("comment", [b"", b"PK and more"])
def test_an_endless_list_of_files_is_not_read(comment: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of entries that are no images, too: the list alone would fill the memory."""
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w") as file:
        for i in range(50):
            file.writestr(f"{i}.txt", b"")
        file.comment = comment
    monkeypatch.setattr(uploads, "_MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(InputError, match="files: teach them by"):
        unpack(path, UploadExtractor(tmp_path / "images"))
